import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { axe } from "./axe";
import { lacking } from "./keychain";
import { Lab } from "./lab";
import { Rig } from "./rig";

let rig: Rig;
let page: Page & { problems: string[] };
let lab: Lab;

beforeAll(async () => {
  rig = await Rig.start({ keychain: lacking().length === 0 });
  lab = new Lab(rig, "bare-2022");
  await lab.serve();
  page = await rig.page();
});
afterAll(async () => {
  await lab.stop();
  await rig.stop();
});

describe("a bare Windows machine", () => {
  it("is added, and what it lacks is said with the way on", async () => {
    await page.getByRole("button", { name: "Add my host" }).click();
    await page.getByLabel("Address").fill(`Administrator@127.0.0.1:${lab.port}`);
    await page.getByLabel("Name", { exact: true }).fill("bare");
    await page.getByRole("combobox", { name: /^Sign in with/ }).click();
    await page.getByRole("option", { name: "A key file" }).click();
    await page.getByRole("textbox", { name: "Key file" }).fill(join(lab.folder, "client_ed25519_key"));
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("button", { name: "It is the same: trust it" }).click();
    const added = page.getByRole("dialog", { name: "bare is added" });
    await added.getByText("No container engine is installed there").waitFor();
    expect(await axe(page)).toEqual([]);
    await added.getByRole("button", { name: "Prepare this machine…" }).click();
  });

  it("has a plan in plain words before anything happens, and steps that its user may keep", async () => {
    const plan = page.getByRole("dialog", { name: "Prepare bare" });
    await plan.getByText("Windows Server 2022 Datacenter", { exact: false }).waitFor();
    await plan.getByRole("heading", { name: "Windows’ Containers feature" }).waitFor();
    const sum = await plan.getByText(/^\d+ steps, about \d+ minutes/).textContent();
    // One more where a keychain answers: the engine's listener.
    const steps = Number.parseInt(sum ?? "", 10);
    expect(sum, "whoever works there should know").toContain("logged off once");
    expect(await axe(page)).toEqual([]);
    await plan.getByRole("listitem").filter({ hasText: "firewall" }).getByRole("checkbox").check();
    await plan.getByText(new RegExp(`^${steps - 1} steps`)).waitFor();
    expect(rig.berth("host", "prepare", "bare", "--plan").out, "until then nothing was changed").toContain(`${steps} steps`);
  });

  it("becomes a container host, seen step by step across its restart", { timeout: 120_000 }, async () => {
    await page.getByRole("dialog").getByRole("button", { name: "Prepare", exact: true }).press("Enter");
    const progress = page.getByRole("region", { name: "Progress" });
    await progress.getByText("Containers feature").waitFor({ state: "attached" });
    // What ended well takes one line, and keeps its steps.
    await progress.getByText(/done in/).waitFor({ timeout: 90_000 });
    await progress.getByRole("button", { name: "Steps" }).press("Enter");
    await progress.getByText("Reach the engine").waitFor();
    const [name, time] = await Promise.all([".title", ".time"].map((part) => progress.locator(`li ${part}`).first().boundingBox()));
    expect((time?.x ?? 0) - (name?.x ?? 0), "the times of steps that ended stand in a column of their own").toBeGreaterThan(300);
    await progress.getByText("Containers feature").waitFor();
    await page.getByRole("status").filter({ hasText: /^Connected/ }).waitFor({ timeout: 60_000 });
    await page.getByText("What is there").waitFor({ timeout: 30_000 });
    expect(await page.getByText("This machine runs no containers yet", { exact: false }).count()).toBe(0);
    expect(await axe(page)).toEqual([]);
  });

  it("gets an image of SQL Server, of which an instance is made", { timeout: 120_000 }, async () => {
    await page.getByText("None yet. An instance on Windows", { exact: false }).waitFor();
    await page.getByRole("button", { name: "Build an image…" }).press("Enter");
    const build = page.getByRole("dialog", { name: "Build a SQL Server image" });
    await build.getByRole("combobox", { name: "SQL Server: 2022 Express" }).waitFor();
    expect(await build.getByRole("button", { name: "Build" }).isEnabled(), "nothing is built before the terms are accepted").toBe(false);
    await build.getByRole("checkbox").press("Space");
    expect(await axe(page)).toEqual([]);
    await build.getByRole("button", { name: "Build" }).press("Enter");
    const images = page.getByRole("list", { name: "SQL Server images" });
    await images.getByText("2022-express").waitFor({ timeout: 60_000 });
    await images.getByText("not in use", { exact: false }).waitFor();
    expect(await axe(page)).toEqual([]);
  });

  it("gives an instance made of it, and a string that opens it", { timeout: 120_000 }, async (context) => {
    if (lacking().length > 0) {
      console.log(`SKIPPED: an instance on a prepared machine through the window (no ${lacking().join(", ")})`);
      return context.skip();
    }
    await page.getByRole("button", { name: "New instance here" }).press("Enter");
    const sheet = page.getByRole("dialog", { name: "New SQL Server instance" });
    await sheet.getByRole("checkbox").press("Space");
    await sheet.getByRole("button", { name: "Create" }).press("Enter");
    await page.getByRole("region", { name: "Connection string" }).waitFor({ timeout: 60_000 });
    const name = (await page.getByRole("main").getByRole("heading", { level: 1 }).textContent()) ?? "";
    const asked = rig.berth("query", `bare/${name}`, "SELECT @@SERVERNAME");
    expect(asked.code, asked.err).toBe(0);
    rig.berth("remove", `bare/${name}`, "--data", "delete");
    await page.getByRole("navigation").getByRole("button", { name: /^bare/ }).click();
  });

  it("lets an image go that nobody uses", async () => {
    await page.getByRole("button", { name: "Remove… 2022-express" }).press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Remove image" }).press("Enter");
    await page.getByText("None yet. An instance on Windows", { exact: false }).waitFor();
  });

  it("says later what is wrong with it, and what Berth changed can be taken back", { timeout: 120_000 }, async () => {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Find what is wrong…" }).press("Enter");
    const doctor = page.getByRole("dialog", { name: "What is wrong with bare" });
    await doctor.getByRole("listitem").first().waitFor();
    expect(await axe(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Type a command").fill("take back");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Take back" }).click();
    await page.getByText("This machine runs no containers yet", { exact: false }).waitFor({ timeout: 90_000 });
  });

  it("has no place for instances then, and whoever wants one is led to what it needs", async () => {
    await page.getByRole("region", { name: "Instances" }).getByText("Not a container host yet").waitFor();
    await page.getByRole("button", { name: "New", exact: true }).press("Enter");
    const sheet = page.getByRole("dialog", { name: "New SQL Server instance" });
    await sheet.getByText("This machine runs no containers yet", { exact: false }).waitFor();
    expect(await axe(page)).toEqual([]);
    await sheet.getByRole("button", { name: "Prepare this machine…" }).press("Enter");
    const plan = page.getByRole("dialog", { name: "Prepare bare" });
    await plan.getByText(/^\d+ steps, about \d+ minutes/).waitFor();
    await page.keyboard.press("Escape");
    expect(page.problems).toEqual([]);
  });
});
