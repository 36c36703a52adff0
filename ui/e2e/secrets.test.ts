import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
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

it("the password is in no message, no node, no storage, no log", async () => {
  const page = await rig.page();
  const frames: string[] = [];
  // Everything that the page is told or tells, from before its first line of script.
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.webSocketFrameReceived", (e) => frames.push(e.response.payloadData));
  session.on("Network.webSocketFrameSent", (e) => frames.push(e.response.payloadData));
  await page.reload();

  await create(page, { name: "canary", database: "canary" });
  for (const format of ["JDBC", "ODBC", "ADO.NET"]) {
    await page.getByRole("combobox", { name: /^Format/ }).click();
    await page.getByRole("option", { name: format, exact: true }).click();
    await page.getByTestId("masked").waitFor();
  }
  for (const button of ["Copy connection string", "Copy password"]) {
    await page.getByRole("button", { name: button }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  for (const tab of ["Databases", "Logs", "Activity"]) await page.getByRole("tab", { name: tab }).click();
  await page.getByText("Bring up").first().waitFor();

  // The whole string, as the command gives it to somebody at a terminal.
  const shown = rig.berth("connection", "canary");
  expect(shown.code, shown.err).toBe(0);
  const password = /(?:Password|PWD)="?([^";]+)/i.exec(shown.out)?.[1] ?? "";
  expect(password.length, "the canary must be known to be looked for").toBeGreaterThan(10);

  expect(frames.length).toBeGreaterThan(10);
  expect(frames.some((frame) => frame.includes("canary_app")), "what is looked through must be the messages of this instance").toBe(true);
  expect(frames.filter((frame) => frame.includes(password)), "messages between Rust and the page").toEqual([]);
  const inPage = await page.evaluate(() => [document.documentElement.outerHTML, JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })].join("\n"));
  expect(inPage.includes(password), "document and storage").toBe(false);
  const holders = files(rig.home).filter((file) => readFileSync(file).includes(password));
  expect(holders, "files and logs of the agent").toEqual([]);
  const processes = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
  expect(processes.includes(password), "arguments of programs").toBe(false);
});
