import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { axe } from "./axe";
import { Rig, programs } from "./rig";

let rig: Rig;
let page: Page & { problems: string[] };
/** A machine of its own: the practice host as another program, reached as any other host is. */
const folder = mkdtempSync(join(tmpdir(), "berth-lab-"));
let lab: ChildProcess | undefined;
let port = "";
let fingerprint = "";
let password = "";

async function serve(): Promise<void> {
  const words = ["practice", "serve", "--dir", folder, ...(port ? ["--ssh-port", port] : [])];
  const child = spawn(join(programs, "berth"), words, { env: rig.environment, stdio: ["ignore", "pipe", "pipe"] });
  lab = child;
  let said = "";
  await new Promise<void>((ready, failed) => {
    const hear = (text: Buffer) => {
      said += String(text);
      if (said.includes("Ctrl-C")) ready();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("exit", (code) => failed(new Error(`the lab ended with ${code}: ${said}`)));
  });
  port = /-p (\d+)/.exec(said)?.[1] ?? "";
  fingerprint = /SHA256:\S+/.exec(said)?.[0] ?? "";
  password = /password\s+(\S+)/.exec(said)?.[1] ?? "";
}
async function end(): Promise<void> {
  const child = lab;
  lab = undefined;
  if (!child) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await gone;
}

beforeAll(async () => {
  rig = await Rig.start();
  await serve();
  page = await rig.page();
});
afterAll(async () => {
  await end();
  await rig.stop();
  rmSync(folder, { recursive: true, force: true });
});

const pill = (text: RegExp) => page.getByRole("status").filter({ hasText: text });

describe("a host of one's own", () => {
  it("that does not sign us in is said to, and nothing is lost of what was typed", async () => {
    await page.getByRole("button", { name: "Add my host" }).click();
    await page.getByLabel("Address").fill(`Administrator@127.0.0.1:${port}`);
    await page.getByLabel("Name", { exact: true }).fill("lab");
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByRole("dialog", { name: "Is this your machine?" }).waitFor();
    expect(await page.getByRole("dialog").textContent(), "the fingerprint is what people compare").toContain(fingerprint);
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "It is the same: trust it" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByLabel("Address").inputValue()).toContain(port);
  });

  it("is added by a key, after a look at what is there", async () => {
    await page.getByRole("combobox", { name: /^Sign in with/ }).click();
    await page.getByRole("option", { name: "A key file" }).click();
    await page.getByRole("textbox", { name: "Key file" }).fill(join(folder, "client_ed25519_key"));
    await page.getByRole("button", { name: "Connect" }).click();
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
    await end();
    await pill(/^Not reachable, seen /).waitFor({ timeout: 60_000 });
    await page.getByRole("navigation").getByRole("button", { name: /^lab.*(seen|not reachable)/ }).waitFor();
    await serve();
    await pill(/^Connected/).waitFor({ timeout: 60_000 });
  });

  it("is removed after one question", async () => {
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Remove host…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove host" }).click();
    await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).waitFor({ state: "detached" });
    expect(page.problems).toEqual([]);
    expect(password.length).toBeGreaterThan(8);
  });
});
