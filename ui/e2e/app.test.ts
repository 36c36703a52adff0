import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./keychain";
import { App, missing } from "./webdriver";

const CONTROL = "\uE009";
const lacks = missing();
if (lacks) console.error(`SKIPPED: the app itself (${lacks})`);

const button = (name: string) => `//button[normalize-space()="${name}"]`;

describe.skipIf(lacks !== "")("the app itself, in WebKit", () => {
  let app: App;
  beforeAll(async () => {
    app = await App.start();
  });
  afterAll(async () => {
    await app?.stop();
  });
  const processes = () => execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" });

  it("starts to the three doors, and one of them leads to an instance", async () => {
    await app.find(button("Start practising"));
    await app.click(button("Start practising"));
    await app.click('//*[@role="dialog"]//button[@type="submit"]');
    await app.find('//*[@data-testid="masked"]', 60_000);
    expect(app.berth("list", "--json").out).toContain('"sql2022"');
  });

  it("copies the whole string, and its page has none of the password", async () => {
    await until("the string on the clipboard", async () => {
      await app.press(CONTROL, "c");
      return app.clipboard().includes("Password=");
    });
    const copied = app.clipboard();
    expect(copied).toBe(app.berth("connection", "sql2022").out.trimEnd());
    const password = /Password="?([^";]+)/.exec(copied)?.[1] ?? "";
    expect(password.length).toBeGreaterThan(10);
    expect(await app.text('//*[@data-testid="masked"]')).toContain("127.0.0.1,");
    await app.click(button("Show"));
    await app.click(button("Copy password"));
    await until("the password on the clipboard", async () => app.clipboard() === password);
    const page = await app.run<string>("return document.documentElement.outerHTML + JSON.stringify(Object.entries(localStorage)) + JSON.stringify(Object.entries(sessionStorage))");
    expect(page.includes("sql2022"), "what is looked through must be this page").toBe(true);
    expect(page.includes(password), "document and storage").toBe(false);
    expect(processes().includes(password), "arguments of programs").toBe(false);
    const holders = readdirSync(app.home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !/\/(passwords|practice|keyrings)\//.test(file) && readFileSync(file).includes(password));
    expect(holders, "files and logs of app and agent").toEqual([]);
  });

  it("gives its page six doors, and none of Tauri's own", async () => {
    expect(await app.run<boolean>("return '__TAURI__' in window"), "the whole of Tauri within reach of the page").toBe(false);
    const said = await app.run<string>("return document.querySelector('script[src]') ? [...document.scripts].filter((s) => !s.src).length + '' : 'none'");
    expect(said, "a script in the page itself would have passed the policy").not.toBe("none");
  });

  it("asks the system whether it starts at login, and offers what there is", async () => {
    await app.press(CONTROL, ",");
    await app.find('//*[@role="dialog"]//*[contains(text(), "connection port")]');
    const said = await app.text('//*[@role="dialog"]');
    expect(said, "nothing to be typed where there is a button, or where the system starts nothing").not.toContain("berth agent");
    expect(said.includes("Start at login"), "a Mac alone has LaunchAgents").toBe(process.platform === "darwin");
    expect(await app.run<number>("return document.querySelectorAll('.toast.bad').length"), "the app lets the page ask").toBe(0);
    await app.click(button("Done"));
  });

  it("quits by its key, and the string keeps working", async () => {
    const runs = () => /berth-app(?! agent)\s*$/m.test(processes());
    expect(runs()).toBe(true);
    app.key("ctrl+q");
    await until("the end of the app", async () => !runs(), 15_000);
    const tried = app.berth("connection", "sql2022", "--test");
    expect(tried.code, tried.err).toBe(0);
  });
});
