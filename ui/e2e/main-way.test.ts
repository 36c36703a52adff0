import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { Rig, create } from "./rig";

let rig: Rig;
let page: Page & { problems: string[] };
beforeAll(async () => {
  rig = await Rig.start();
  page = await rig.page();
});
afterAll(async () => {
  await rig.stop();
});

describe("the main way, by mouse", () => {
  it("goes from three doors to a connection string", async () => {
    for (const door of ["Start practising", "Add my host", "Show me how"]) await page.getByRole("button", { name: door }).waitFor();
    await page.getByRole("button", { name: "Start practising" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    const progress = page.getByRole("region", { name: "Progress" });
    await progress.waitFor();
    for (const phase of ["Credentials", "Container", "SQL Server starts", "Endpoint"]) await progress.getByText(phase, { exact: false }).first().waitFor();
    const masked = page.getByTestId("masked");
    await masked.waitFor({ timeout: 45_000 });
    expect(await masked.textContent(), "the string must lead to the port of this instance").toMatch(/127\.0\.0\.1,14330|localhost,14330/);
    await page.getByRole("status").filter({ hasText: /^Running/ }).waitFor();
  });

  it("writes every format, and remembers the one chosen", async () => {
    await page.getByRole("combobox", { name: /^Format/ }).click();
    await page.getByRole("option", { name: "JDBC", exact: true }).click();
    await page.getByTestId("masked").getByText("jdbc:sqlserver", { exact: false }).waitFor();
    await page.reload();
    await page.getByRole("option", { name: /sql2022/ }).click();
    await page.getByTestId("masked").getByText("jdbc:sqlserver", { exact: false }).waitFor();
    await page.getByRole("combobox", { name: /^Format/ }).click();
    await page.getByRole("option", { name: "ADO.NET", exact: true }).click();
  });

  it("says which command to type where the machine has no clipboard", async () => {
    await page.getByRole("button", { name: "Copy connection string" }).click();
    const sheet = page.getByRole("dialog");
    await sheet.getByText("berth connection practice/sql2022 --format adonet").waitFor();
    await sheet.getByRole("button", { name: "Done" }).click();
  });

  it("shows the charts of what it uses, and its log", async () => {
    await page.getByRole("figure", { name: /Memory: \d/ }).waitFor({ timeout: 20_000 });
    await page.getByRole("tab", { name: "Logs" }).click();
    await page.getByRole("log").getByText("SQL Server is now ready", { exact: false }).first().waitFor();
    await page.getByLabel("Search the log").fill("ready");
    await page.getByRole("status").filter({ hasText: /lines?$/ }).first().waitFor();
    expect(await page.locator("mark").first().textContent()).toMatch(/ready/i);
  });

  it("makes, lists and deletes a database, with a question before what cannot be undone", async () => {
    await page.getByRole("tab", { name: "Databases" }).click();
    await page.getByText("tempdb").waitFor();
    await page.getByRole("button", { name: "New database" }).click();
    await page.getByLabel("Name").fill("odd]name");
    await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
    await page.getByText("odd]name").waitFor();
    await page.getByRole("button", { name: "Use in string" }).click();
    await page.getByTestId("masked").getByText("\"odd]name\"").waitFor();
    await page.getByRole("button", { name: "Delete… odd]name" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByText("odd]name").first().waitFor();
    await page.getByRole("button", { name: "Delete… odd]name" }).click();
    await page.getByRole("button", { name: "Delete database" }).click();
    await page.getByRole("tabpanel").getByText("odd]name").waitFor({ state: "detached" });
    await page.getByRole("tab", { name: "Overview" }).click();
  });

  it("stops and starts", async () => {
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("option", { name: /sql2022.*stopped/ }).waitFor();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("option", { name: /sql2022.*running/ }).waitFor();
  });

  it("shows what somebody else does, without asking again and again", async () => {
    expect(rig.berth("stop", "sql2022").code).toBe(0);
    await page.getByRole("option", { name: /sql2022.*stopped/ }).waitFor({ timeout: 2000 });
    expect(rig.berth("start", "sql2022").code).toBe(0);
    await page.getByRole("option", { name: /sql2022.*running/ }).waitFor({ timeout: 2000 });
  });

  it("cancels a making, and nothing of it is left", { timeout: 90_000 }, async () => {
    const made = page.getByRole("option", { name: /sql2022-2/ });
    let cancelled = false;
    // On the practice host a making takes a moment only: one that was faster than the click is taken away, and made again.
    for (let n = 0; n < 5 && !cancelled; n++) {
      await page.getByRole("button", { name: "New", exact: true }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
      await page.getByRole("button", { name: "Cancel", exact: true }).click({ timeout: 3000 }).catch(() => {});
      cancelled = await made.waitFor({ state: "detached", timeout: 6000 }).then(() => true, () => false);
      if (cancelled) break;
      rig.berth("remove", "sql2022-2", "--data", "delete");
      await made.waitFor({ state: "detached" });
    }
    expect(cancelled, "a making can be stopped").toBe(true);
    expect(rig.berth("list", "--json").out).not.toContain("sql2022-2");
  });

  it("says why a making failed, and what to do", async () => {
    await page.getByRole("button", { name: "New", exact: true }).click();
    const sheet = page.getByRole("dialog");
    await sheet.getByRole("button", { name: "Options" }).click();
    await sheet.getByLabel("Name", { exact: true }).fill("clash");
    await sheet.getByLabel("Port", { exact: true }).fill("14330");
    await sheet.getByRole("button", { name: "Create" }).click();
    const said = page.getByRole("alert");
    await said.getByText("14330", { exact: false }).first().waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
    await page.getByRole("button", { name: "Change options…" }).click();
    expect(await sheet.getByLabel("Name", { exact: true }).inputValue(), "what was typed is not typed twice").toBe("clash");
    await page.keyboard.press("Escape");
    await page.getByRole("option", { name: /clash/ }).waitFor({ state: "detached" });
  });

  it("removes after one question whose default keeps the data", async () => {
    await page.getByRole("option", { name: /sql2022/ }).click();
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Remove…" }).click();
    const sheet = page.getByRole("dialog", { name: "Remove sql2022?" });
    expect(await sheet.getByRole("checkbox").isChecked(), "data is deleted by nobody's mistake").toBe(false);
    await sheet.getByRole("checkbox").check();
    await sheet.getByRole("button", { name: "Remove and delete data" }).click();
    await page.getByRole("option", { name: /sql2022/ }).waitFor({ state: "detached" });
    await page.getByText("No instances yet").waitFor();
  });

  it("had nothing refused by the page's policy, and no error", () => {
    expect(page.problems, "an inline style or a foreign address would be refused on a user's machine too").toEqual([]);
  });
});

describe("when what is behind the window goes away", () => {
  it("an address of an earlier start says so, and shows nothing that it does not know", async () => {
    const old = await rig.page();
    await old.goto(rig.address.replace(/token=.*/, "token=00"));
    await old.evaluate(() => sessionStorage.clear());
    await old.reload();
    await old.getByText("Berth is not running behind this page").waitFor();
    expect(await old.getByText("No instances yet").count(), "nobody knows that").toBe(0);
    await old.context().close();
  });

  it("the agent's end loses nothing", async () => {
    await create(page, { name: "stays" });
    rig.berth("agent", "stop", "--force");
    // Found again from the host's labels by the agent that the page starts.
    await page.getByRole("option", { name: /stays.*(running|stopped)/ }).waitFor({ timeout: 30_000 });
    await page.getByText("does not answer. Trying again").waitFor({ state: "detached", timeout: 30_000 });
  });
});
