import { afterAll, beforeAll, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { axe } from "./axe";
import { Rig, create } from "./rig";

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
  rig.knowsMachine("winbox");
});
afterAll(async () => {
  await rig.stop();
});

/** Opens each screen in turn and looks at it in every appearance. */
async function walk(page: Page, look: (screen: string) => Promise<void>) {
  const sheet = page.getByRole("dialog");
  const gone = async () => {
    await page.keyboard.press("Escape");
    await sheet.waitFor({ state: "detached" });
  };
  await page.getByRole("button", { name: "Start practising" }).waitFor();
  await look("first run");
  await page.getByRole("button", { name: "Show me how" }).click();
  await look("guide");
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("button", { name: "Add my host" }).click();
  await sheet.waitFor();
  await page.getByRole("combobox", { name: "Address" }).fill("win");
  await page.getByRole("option", { name: /winbox/ }).waitFor();
  await look("add host");
  await page.keyboard.press("Escape");
  await gone();
  await create(page, { name: "orders", database: "orders" });
  await look("instance");
  for (const tab of ["Databases", "Logs", "Activity"]) {
    await page.getByRole("tab", { name: tab }).click();
    if (tab === "Databases") await page.getByText("tempdb").waitFor();
    if (tab === "Logs") await page.getByRole("log").waitFor();
    await look(tab);
  }
  await page.getByRole("button", { name: "New", exact: true }).click();
  await page.getByRole("button", { name: "Options" }).click();
  await look("new instance");
  await page.getByLabel("Name", { exact: true }).fill("failing");
  await page.getByLabel("Port", { exact: true }).fill("14330");
  await sheet.getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await look("failure");
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Type a command").waitFor();
  await look("palette");
  await gone();
  await page.keyboard.press("Control+,");
  await sheet.getByText(/started/).waitFor();
  await look("settings");
  await gone();
  await page.getByRole("option", { name: /orders/ }).click();
  await page.keyboard.press("Control+Backspace");
  await sheet.waitFor();
  await look("remove");
  await gone();
  for (const [item, screen] of [["Change…", "change"], ["New password…", "new password"]] as const) {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: item }).click();
    await sheet.waitFor();
    await look(screen);
    await gone();
  }
  await page.getByRole("tab", { name: "Activity" }).click();
  await page.getByRole("button", { name: /^Log/ }).first().click();
  await look("log of an operation");
  await page.getByRole("tab", { name: "Overview" }).click();
  await page.getByRole("button", { name: "Open in" }).click();
  await look("open in");
  await page.getByRole("menuitem").first().click();
  await sheet.getByText("vscode:").waitFor();
  await look("open in VS Code");
  await gone();
  await page.getByRole("combobox", { name: /^Format/ }).click();
  await page.getByRole("option", { name: "ADO.NET", exact: true }).waitFor();
  await look("formats");
  await page.keyboard.press("Escape");
  await page.getByRole("navigation").getByRole("button", { name: /Practice host/ }).click();
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByText("What is there").waitFor();
  await look("host");
  await page.getByRole("option", { name: /orders/ }).click();
  await page.keyboard.press("Control+Backspace");
  await sheet.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("option", { name: /orders/ }).waitFor({ state: "detached" });
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Type a command").fill("kept data");
  await page.keyboard.press("Enter");
  await sheet.getByText("orders").first().waitFor();
  await look("kept data");
  await sheet.getByRole("button", { name: "Delete… orders" }).click();
  await page.getByRole("button", { name: "Delete data" }).waitFor();
  await look("delete data");
}

it("finds nothing on any screen, in light, dark and increased contrast", { timeout: 240_000 }, async () => {
  const page = await rig.page();
  const found: string[] = [];
  await walk(page, async (screen) => {
    for (const colorScheme of ["light", "dark"] as const)
      for (const contrast of ["no-preference", "more"] as const) {
        await page.emulateMedia({ colorScheme, contrast, reducedMotion: "reduce" });
        for (const line of await axe(page)) found.push(`${screen}, ${colorScheme}, ${contrast}: ${line}`);
      }
  });
  expect(found, "what axe finds, somebody cannot read or reach").toEqual([]);
});
