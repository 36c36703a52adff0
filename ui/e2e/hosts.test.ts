import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { axe } from "./axe";
import { Lab } from "./lab";
import { Rig } from "./rig";

let rig: Rig;
let page: Page & { problems: string[] };
let lab: Lab;

beforeAll(async () => {
  rig = await Rig.start();
  lab = new Lab(rig);
  await lab.serve();
  page = await rig.page();
});
afterAll(async () => {
  await lab.stop();
  await rig.stop();
});

const pill = (text: RegExp) => page.getByRole("status").filter({ hasText: text });

describe("a host of one's own", () => {
  it("that does not sign us in is said to, and nothing is lost of what was typed", async () => {
    await page.getByRole("button", { name: "Add my host" }).click();
    await page.getByLabel("Address").fill(`Administrator@127.0.0.1:${lab.port}`);
    await page.getByLabel("Name", { exact: true }).fill("lab");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("dialog", { name: "Is this your machine?" }).waitFor();
    expect(await page.getByRole("dialog").textContent(), "the fingerprint is what people compare").toContain(lab.fingerprint);
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "It is the same: trust it" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByLabel("Address").inputValue()).toContain(lab.port);
  });

  it("is added by a key, after a look at what is there", async () => {
    await page.getByRole("combobox", { name: /^Sign in with/ }).click();
    await page.getByRole("option", { name: "A key file" }).click();
    await page.getByRole("textbox", { name: "Key file" }).fill(join(lab.folder, "client_ed25519_key"));
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    const trust = page.getByRole("button", { name: "It is the same: trust it" });
    const added = page.getByRole("dialog", { name: "lab is added" });
    await trust.or(added).first().waitFor();
    if (await trust.isVisible()) await trust.click();
    await added.getByText("Windows Server", { exact: false }).first().waitFor();
    await added.getByRole("button", { name: "Done" }).click();
    await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).click();
    await pill(/^Connected/).waitFor();
  });

  it("that goes away says since when, and comes back by itself", { timeout: 120_000 }, async () => {
    // An instance there, made by the command: this machine has no keychain for one from the window.
    await lab.end();
    await pill(/^Not reachable, seen /).waitFor({ timeout: 60_000 });
    await page.getByRole("navigation").getByRole("button", { name: /^lab.*(seen|not reachable)/ }).waitFor();
    await lab.serve();
    await pill(/^Connected/).waitFor({ timeout: 60_000 });
  });

  it("whose key is known no more is let in again by whoever compares it, where it is shown", { timeout: 120_000 }, async () => {
    await lab.end();
    await pill(/^Not reachable, seen /).waitFor({ timeout: 60_000 });
    rmSync(join(rig.home, "known_hosts"));
    await lab.serve();
    const trust = page.getByRole("main").getByRole("button", { name: "It is the same: trust it" });
    await trust.waitFor({ timeout: 60_000 });
    await page.getByRole("paragraph").filter({ hasText: lab.fingerprint }).waitFor();
    await page.getByText("It is the one that this host had before").waitFor();
    expect(await axe(page)).toEqual([]);
    await trust.press("Enter");
    await pill(/^Connected/).waitFor();
    await trust.waitFor({ state: "detached" });
    await page.getByText("What is there").waitFor();
  });

  it("is removed after one question", async () => {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Remove host…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove host" }).click();
    await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).waitFor({ state: "detached" });
    expect(page.problems).toEqual([]);
    expect(lab.password.length).toBeGreaterThan(8);
  });
});
