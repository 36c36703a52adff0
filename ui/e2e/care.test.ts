import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { Rig, create, programs } from "./rig";

/** What happens to an instance after it was made: changed, given a new password, removed, taken up again. */
let rig: Rig;
let page: Page & { problems: string[] };
beforeAll(async () => {
  rig = await Rig.start();
  page = await rig.page();
  await create(page, { name: "orders", database: "orders" });
});
afterAll(async () => {
  await rig.stop();
});

const sheet = () => page.getByRole("dialog");
const row = (name: RegExp) => page.getByRole("option", { name });
async function more(item: string) {
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: item }).click();
  await sheet().waitFor();
}
async function palette(command: string) {
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Type a command").fill(command);
  await page.keyboard.press("Enter");
}
/** What a driver would use: the string as the command writes it. */
const works = (name: string, ...words: string[]) =>
  // A row may say `running` a moment before its server lets everybody in.
  expect.poll(() => rig.berth("connection", name, "--test", ...words), { timeout: 20_000, interval: 300 }).toMatchObject({ code: 0 });

describe("an instance that is there", () => {
  it("gets a database with a login that owns it, and the string signs in as that one", async () => {
    await page.getByRole("tab", { name: "Databases" }).click();
    await page.getByRole("button", { name: "New database" }).click();
    await page.getByLabel("Name").fill("billing");
    await page.keyboard.press("Enter");
    await page.getByTestId("masked").getByText("billing_app").waitFor();
    await works("orders", "--database", "billing", "--login", "billing_app");
    await page.getByRole("button", { name: "New database" }).click();
    await page.getByLabel("Name").fill("Billing");
    await page.keyboard.press("Enter");
    await sheet().getByRole("alert").getByText("already", { exact: false }).waitFor();
    await page.keyboard.press("Escape");
  });

  it("is changed, and its window follows its new name", async () => {
    await more("Change…");
    await sheet().getByLabel("Name", { exact: true }).fill("shop");
    await sheet().getByLabel("Port", { exact: true }).fill("14399");
    await sheet().getByText("stop working", { exact: false }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "shop", level: 1 }).waitFor({ timeout: 30_000 });
    await row(/^shop .*14399.*running/).waitFor({ timeout: 30_000 });
    await page.getByTestId("masked").getByText("14399").waitFor();
    await works("shop");
  });

  it("gets a new password: the old one is refused, the window's string works", async () => {
    const before = rig.berth("connection", "shop", "--login", "sa").out;
    await more("New password…");
    expect(await sheet().getByRole("button", { name: "Cancel" }).evaluate((e) => e === document.activeElement), "nobody interrupts others by a Return too many").toBe(true);
    await sheet().getByRole("button", { name: "Give a new password" }).click();
    await expect.poll(() => rig.berth("connection", "shop", "--login", "sa").out, { timeout: 30_000, interval: 300 }).not.toBe(before);
    await works("shop", "--login", "sa");
    await page.getByRole("tab", { name: "Activity" }).click();
    await page.getByRole("list", { name: "Activity" }).getByText("Reset the password of shop").waitFor();
  });
});

describe("what was done", () => {
  it("is listed with its log, also of an earlier agent", async () => {
    await palette("all activity");
    const entry = sheet().getByRole("listitem").filter({ hasText: "Bring up orders" }).last();
    await entry.getByRole("button", { name: /^Log/ }).click();
    await entry.getByText("SQL Server starts").first().waitFor();
    await page.keyboard.press("Escape");
    rig.berth("agent", "stop", "--force");
    await row(/^shop .*running/).waitFor({ timeout: 30_000 });
    await page.getByText("does not answer. Trying again").waitFor({ state: "detached", timeout: 30_000 });
    await palette("all activity");
    await sheet().getByText("Bring up orders").first().waitFor();
    await page.keyboard.press("Escape");
  });

  it("is done again where it failed, from the list", async () => {
    await page.getByRole("button", { name: "New", exact: true }).click();
    await sheet().getByRole("button", { name: "Options" }).click();
    await sheet().getByLabel("Name", { exact: true }).fill("clash");
    await sheet().getByLabel("Port", { exact: true }).fill("14399");
    await sheet().getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "Try again" }).waitFor();
    // The port is free now: the same wish comes true.
    expect(rig.berth("set", "shop", "--port", "14400").code).toBe(0);
    await palette("all activity");
    await sheet().getByRole("button", { name: /^Try again: Bring up clash/ }).click();
    await row(/^clash .*14399.*running/).waitFor({ timeout: 30_000 });
    await page.keyboard.press("Escape");
    expect(rig.berth("remove", "clash", "--data", "delete").code).toBe(0);
  });
});

describe("kept data", () => {
  const host = () => page.getByRole("navigation").getByRole("button", { name: /^Practice host/ });

  it("outlives its instance, and is taken up by a new one", async () => {
    await row(/^shop /).click();
    await page.keyboard.press("Control+Backspace");
    await sheet().getByRole("button", { name: "Remove", exact: true }).click();
    await row(/^shop /).waitFor({ state: "detached" });
    await host().click();
    // A volume's labels cannot change: it has the name that it was made with.
    await page.getByRole("list", { name: "Kept data" }).getByText("orders").first().waitFor();
    await page.getByRole("button", { name: "Take up… orders" }).click();
    await page.getByRole("dialog", { name: "Take up the data of orders" }).waitFor();
    await sheet().getByRole("button", { name: "Create" }).click();
    await row(/^orders .*running/).waitFor({ timeout: 45_000 });
    const found = rig.berth("database", "list", "orders");
    expect(found.out, "its databases are what it was taken up for").toContain("billing");
  });

  it("is deleted after one question whose default is to keep it", async () => {
    expect(rig.berth("remove", "orders", "--data", "keep").code).toBe(0);
    await row(/^orders /).waitFor({ state: "detached" });
    // Of every host, by keyboard alone.
    await palette("kept data");
    await sheet().getByText("orders").first().waitFor();
    await sheet().getByRole("button", { name: "Delete… orders" }).press("Enter");
    await page.getByRole("dialog", { name: "Delete the data of orders?" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Delete the data of orders?" }).waitFor({ state: "detached" });
    expect(rig.berth("data", "list").out, "Return alone deletes nothing").toContain("orders");
    await sheet().getByRole("button", { name: "Delete… orders" }).click();
    await page.getByRole("button", { name: "Delete data" }).click();
    await page.getByText("There is none").waitFor();
    expect(rig.berth("data", "list").out).not.toContain("orders");
    await page.keyboard.press("Escape");
  });
});

it("an instance of a command says that it ends, and is gone with its command", async () => {
  const run = spawn(join(programs, "berth"), ["run", "--host", "practice", "--lease", "3h", "--", "sleep", "600"], { env: rig.environment, stdio: "ignore" });
  await row(/running/).first().click({ timeout: 30_000 });
  await page.getByText(/^in 2 hours, or with the command/).waitFor();
  const ended = new Promise((done) => run.once("exit", done));
  run.kill("SIGTERM");
  await ended;
  await row(/running/).first().waitFor({ state: "detached", timeout: 30_000 });
});

it("an address is completed from what docker and SSH know, by arrows and Return", async () => {
  rig.knowsMachine("build-win");
  await page.getByRole("button", { name: "Add host" }).click();
  const address = page.getByRole("combobox", { name: "Address" });
  await address.fill("buil");
  await page.getByRole("option", { name: /ssh:\/\/build-win/ }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  expect(await address.inputValue()).toBe("ssh://build-win");
  expect(await page.getByPlaceholder("build-win").count(), "a name is offered with it").toBe(1);
  await address.fill("bu");
  await page.keyboard.press("Escape");
  await page.getByRole("option", { name: /ssh:\/\/build-win/ }).waitFor({ state: "hidden" });
  await sheet().waitFor();
  await address.fill("tcp://winbox:2376");
  expect(await page.getByRole("button", { name: "Connect", exact: true }).isDisabled(), "an engine over TCP is reached by certificates only").toBe(true);
  for (const [field, value] of [["Authority", "/c/ca.pem"], ["Certificate", "/c/cert.pem"], ["Private key", "/c/key.pem"]] as const) await page.getByLabel(field).fill(value);
  expect(await page.getByRole("button", { name: "Connect", exact: true }).isDisabled()).toBe(false);
  await page.keyboard.press("Escape");
});

it("had nothing refused by the page's policy, and no error", () => {
  expect(page.problems).toEqual([]);
});
