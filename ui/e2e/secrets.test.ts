import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Lab } from "./lab";
import { Rig, create } from "./rig";

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig.stop();
});

/** Every file below Berth's folder that may not hold a password. */
function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ["passwords", "practice"].includes(entry.name) ? [] : files(path);
    return entry.isFile() ? [path] : [];
  });
}

/** Everything that the page is told or tells, from before its first line of script. */
async function overheard(page: Page): Promise<{ told: string[]; said: string[] }> {
  const frames = { told: [] as string[], said: [] as string[] };
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.webSocketFrameReceived", (e) => frames.told.push(e.response.payloadData));
  session.on("Network.webSocketFrameSent", (e) => frames.said.push(e.response.payloadData));
  page.on("console", (message) => frames.told.push(message.text()));
  await page.reload();
  return frames;
}

/** What a page holds: its document, what is in its fields, its stores. */
const held = (page: Page) =>
  page.evaluate(async () => {
    const fields = [...document.querySelectorAll<HTMLInputElement>("input, textarea")].map((field) => field.value);
    const bases = (await indexedDB.databases()).map((base) => base.name);
    const caches = await globalThis.caches?.keys();
    return [document.documentElement.outerHTML, location.href, document.cookie, ...fields, JSON.stringify([{ ...localStorage }, { ...sessionStorage }, bases, caches, history.state])].join("\n");
  });

/** Where a secret is that should be nowhere. */
function holders(secret: string): string[] {
  const found = files(rig.home).filter((file) => readFileSync(file).includes(secret));
  if (execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).includes(secret)) found.push("arguments of programs");
  return found;
}

/** The passwords of an instance, as the command gives them to somebody at a terminal. */
function passwords(name: string, ...logins: string[]): string[] {
  return logins.map((login) => {
    const shown = rig.berth("connection", name, "--login", login, "--password");
    expect(shown.code, shown.err).toBe(0);
    const password = shown.out.trim();
    expect(password.length, "the canary must be known to be looked for").toBeGreaterThan(10);
    return password;
  });
}

it("an instance's password is in no message, no node, no storage, no log, whatever is clicked", { timeout: 180_000 }, async () => {
  const page = await rig.page();
  const frames = await overheard(page);
  const sheet = page.getByRole("dialog");
  const gone = async () => {
    await page.keyboard.press("Escape");
    await sheet.waitFor({ state: "detached" });
  };

  await create(page, { name: "canary", database: "canary" });
  for (const format of ["JDBC", "ODBC", "ADO.NET"]) {
    await page.getByRole("combobox", { name: /^Format/ }).click();
    await page.getByRole("option", { name: format, exact: true }).click();
    await page.getByTestId("masked").waitFor();
    await page.getByText("What each part means").click();
  }
  for (const button of ["Copy connection string", "Copy password"]) {
    await page.getByRole("button", { name: button }).click();
    await sheet.waitFor();
    await gone();
  }
  const before = passwords("canary", "sa", "canary_app");
  // Every program that it can be opened in.
  await page.getByRole("button", { name: "Open in" }).click();
  const tools = await page.getByRole("menuitem").allTextContents();
  expect(tools.length).toBeGreaterThan(5);
  await page.keyboard.press("Escape");
  for (const tool of tools) {
    await page.getByRole("button", { name: "Open in" }).click();
    await page.getByRole("menuitem", { name: tool, exact: true }).click();
    await sheet.getByText("Berth never puts a password").waitFor();
    await gone();
  }
  // Every copy of the palette.
  for (const wanted of ["copy as jdbc", "copy password"]) {
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Type a command").fill(wanted);
    await page.keyboard.press("Enter");
    await sheet.getByText("berth connection").waitFor();
    await gone();
  }
  await page.getByRole("tab", { name: "Databases" }).click();
  await page.getByRole("button", { name: "New database" }).click();
  await page.getByLabel("Name").fill("second");
  await page.keyboard.press("Enter");
  await page.getByTestId("masked").getByText("second_app").waitFor();
  const owner = passwords("canary", "second_app");
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "New password…" }).click();
  await page.getByRole("button", { name: "Give a new password" }).click();
  await expect.poll(() => passwords("canary", "sa")[0], { timeout: 30_000, interval: 300 }).not.toBe(before[0]);
  // One that fails: its details, too, are looked through.
  await page.getByRole("button", { name: "New", exact: true }).click();
  await sheet.getByRole("button", { name: "Options" }).click();
  await sheet.getByLabel("Name", { exact: true }).fill("canary-2");
  await sheet.getByLabel("Port", { exact: true }).fill("14330");
  await sheet.getByRole("button", { name: "Create" }).click();
  await page.getByRole("button", { name: "Try again" }).waitFor();
  await page.getByRole("option", { name: /^canary / }).click();
  for (const tab of ["Databases", "Logs", "Activity"]) await page.getByRole("tab", { name: tab }).click();
  for (const log of await page.getByRole("button", { name: /^Log/ }).all()) await log.click();
  await page.getByText("Bring up").first().waitFor();

  const all = [...before, ...owner, ...passwords("canary", "sa", "canary_app")];
  expect(frames.told.length + frames.said.length).toBeGreaterThan(10);
  expect(frames.told.some((frame) => frame.includes("canary_app")), "what is looked through must be the messages of this instance").toBe(true);
  const inPage = await held(page);
  expect(inPage.includes("second_app"), "what is looked through must be this page").toBe(true);
  for (const password of all) {
    expect([...frames.told, ...frames.said].filter((frame) => frame.includes(password)), "messages between Rust and the page").toEqual([]);
    expect(inPage.includes(password), "document, fields and storage").toBe(false);
    expect(holders(password), "files and logs of the agent, arguments of programs").toEqual([]);
  }
  await page.context().close();
});

it("a host's password goes one way, beside one request, and leaves nothing behind", async () => {
  const lab = new Lab(rig);
  await lab.serve();
  try {
    const page = await rig.page();
    const frames = await overheard(page);
    await page.getByRole("button", { name: "Add host" }).click();
    await page.getByLabel("Address").fill(`Administrator@127.0.0.1:${lab.port}`);
    await page.getByLabel("Name", { exact: true }).fill("lab");
    await page.getByRole("combobox", { name: /^Sign in with/ }).click();
    await page.getByRole("option", { name: "A password" }).click();
    const secret = page.getByRole("textbox", { name: "Password" });
    await secret.fill("Wrong-canary-4711");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("button", { name: "It is the same: trust it" }).click();
    // One that the machine refuses, then its own.
    await page.getByRole("alert").waitFor();
    await secret.fill(lab.password);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByRole("alert").or(page.getByRole("dialog", { name: "lab is added" })).first().waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const inPage = await held(page);
    for (const password of ["Wrong-canary-4711", lab.password]) {
      expect(frames.told.filter((frame) => frame.includes(password)), "what the page is told").toEqual([]);
      const said = frames.said.filter((frame) => frame.includes(password)).map((frame) => JSON.parse(frame) as { command: string; body?: unknown; secrets: object });
      expect(said.map((frame) => frame.command).filter((command) => command !== "host.add"), "it goes to one command").toEqual([]);
      expect(said.length, "the canary was given").toBeGreaterThan(0);
      for (const frame of said) expect(JSON.stringify({ ...frame, secrets: {} }).includes(password), "beside the body, never in it").toBe(false);
      expect(inPage.includes(password), "document, fields and storage").toBe(false);
      expect(holders(password), "files and logs of the agent, arguments of programs").toEqual([]);
    }
    await page.context().close();
  } finally {
    await lab.stop();
  }
});
