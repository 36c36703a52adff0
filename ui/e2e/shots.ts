/** A picture of each screen in light and dark, from the practice host, into target/shots. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { test } from "vitest";
import { Lab } from "./lab.ts";
import { Rig, create } from "./rig.ts";

const folder = join(resolve(import.meta.dirname, "../.."), "target", "shots");
mkdirSync(folder, { recursive: true });

test("pictures", { timeout: 300_000 }, async () => {
  const rig = await Rig.start();
  rig.knowsMachine("build-win", "build-linux", "studio");
  const bare = new Lab(rig, "bare-2022");
  await bare.serve();
  try {
    const page = await rig.page({ deviceScaleFactor: 1.5 });
    const shot = async (name: string) => {
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        await page.mouse.move(1150, 718);
        await page.waitForTimeout(120);
        await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`) });
      }
      console.log(name);
    };
    const close = (on: Page) => on.keyboard.press("Escape");

    await page.getByRole("button", { name: "Start practising" }).waitFor();
    await shot("first");
    await page.getByRole("button", { name: "Show me how" }).click();
    await shot("guide");
    await page.getByRole("button", { name: "Back" }).click();
    await page.getByRole("button", { name: "Add my host" }).click();
    await page.getByLabel("Address").fill("build");
    await page.getByRole("option", { name: /build-win/ }).waitFor();
    await shot("add-host");
    await close(page);
    await close(page);

    await page.getByRole("button", { name: "Start practising" }).click();
    await page.getByRole("dialog").waitFor();
    await shot("new");
    await page.getByRole("button", { name: "Options" }).click();
    await page.getByLabel("Name", { exact: true }).fill("orders-dev");
    await page.getByLabel("Database", { exact: true }).fill("orders");
    await shot("new-options");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("region", { name: "Progress" }).waitFor();
    await shot("progress");
    await page.getByRole("region", { name: "Connection string" }).waitFor({ timeout: 45_000 });
    for (const name of ["reports", "legacy", "billing-2019", "scratch"]) await create(page, { name });
    rig.berth("stop", "billing-2019");
    await page.getByRole("option", { name: /orders-dev/ }).click();
    await page.getByTestId("masked").getByText("orders").first().waitFor();
    // The charts need something to show, and a while to show it.
    for (let n = 0; n < 12; n++) {
      rig.berth("query", "orders-dev", `SELECT COUNT(*) FROM sys.objects WHERE object_id > ${n}`);
      await page.waitForTimeout(n % 3 === 0 ? 5000 : 2500);
    }
    await shot("main");
    await page.getByRole("tab", { name: "Databases" }).click();
    await page.getByText("tempdb").waitFor();
    await shot("databases");
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByRole("log").waitFor();
    await shot("logs");
    await page.getByRole("tab", { name: "Activity" }).click();
    await page.getByRole("button", { name: /^Log/ }).first().click();
    await shot("activity");
    await page.getByRole("tab", { name: "Overview" }).click();
    await page.getByRole("combobox", { name: /^Format/ }).click();
    await page.getByRole("listbox").last().waitFor();
    await shot("formats");
    await close(page);
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Type a command").fill("copy jd");
    await shot("palette");
    await close(page);
    await page.keyboard.press("Control+,");
    await page.getByRole("dialog", { name: "Settings" }).getByText(/started/).waitFor();
    await shot("settings");
    await close(page);
    await page.keyboard.press("Control+Backspace");
    await page.getByRole("dialog").waitFor();
    await shot("remove");
    await close(page);
    await page.getByRole("button", { name: "More actions" }).click();
    await shot("actions");
    await page.getByRole("menuitem", { name: "Change…" }).click();
    await page.getByLabel("Port", { exact: true }).fill("14390");
    await shot("change");
    await close(page);
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "New password…" }).click();
    await page.getByRole("dialog").waitFor();
    await shot("reset-password");
    await close(page);
    await page.getByRole("button", { name: "Open in" }).click();
    await page.getByRole("menuitem", { name: "Visual Studio Code" }).click();
    await page.getByRole("dialog").getByText("vscode:").waitFor();
    await shot("open-in");
    await close(page);
    await create(page, { name: "invoices", database: "invoices" });
    const removed = rig.berth("remove", "invoices", "--data", "keep");
    if (removed.code !== 0) throw new Error(removed.err);
    await page.getByRole("option", { name: /invoices/ }).waitFor({ state: "detached" });
    await page.getByRole("navigation").getByRole("button", { name: /Practice host/ }).click();
    await page.getByRole("button", { name: "Check now" }).click();
    await page.getByText("What is there").waitFor();
    await shot("host");
    await page.getByRole("button", { name: "Take up… invoices" }).click();
    await page.getByRole("dialog").waitFor();
    await shot("take-up");
    await close(page);
    await page.getByRole("button", { name: "Delete… invoices" }).click();
    await page.getByRole("dialog").waitFor();
    await shot("delete-data");
    await close(page);
    rig.berth("host", "add", "build-win", `ssh://Administrator@127.0.0.1:${bare.port}`, "--identity", join(bare.folder, "client_ed25519_key"), "--trust-host-key", bare.fingerprint);
    await page.getByRole("navigation").getByRole("button", { name: /build-win/ }).click();
    await page.getByText("This machine runs no containers yet", { exact: false }).waitFor();
    await shot("host-bare");
    await page.getByRole("button", { name: "Prepare this machine…" }).click();
    await page.getByRole("heading", { name: "Windows' Containers feature" }).waitFor();
    await shot("prepare");
    await page.getByRole("dialog").getByRole("button", { name: "Prepare", exact: true }).click();
    await page.getByRole("region", { name: "Progress" }).getByText("Containers feature").waitFor();
    await shot("prepare-progress");
    await page.getByText("What is there").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Find what is wrong…" }).click();
    await page.getByRole("dialog").getByRole("listitem").first().waitFor();
    await shot("doctor");
    await close(page);
    await page.getByRole("button", { name: "Build an image…" }).click();
    await page.getByRole("dialog").getByRole("checkbox").check();
    await shot("build-image");
    await page.getByRole("dialog").getByRole("button", { name: "Build" }).click();
    await page.getByRole("list", { name: "SQL Server images" }).getByText("2022-express").waitFor({ timeout: 60_000 });
    await shot("host-images");
    await page.getByRole("navigation").getByRole("button", { name: /Practice host/ }).click();
    await page.getByRole("option", { name: /billing-2019/ }).click();
    await page.getByRole("button", { name: "Start", exact: true }).waitFor();
    await shot("stopped");
    // A port that somebody else holds: the making fails, and says why.
    await page.getByRole("button", { name: "New", exact: true }).click();
    await page.getByRole("button", { name: "Options" }).click();
    await page.getByLabel("Name", { exact: true }).fill("reports-2");
    await page.getByLabel("Port", { exact: true }).fill("14330");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await shot("failed");
    console.log(page.problems.length === 0 ? "no problems" : page.problems.join("\n"));
  } finally {
    await bare.stop();
    await rig.stop();
  }
});
