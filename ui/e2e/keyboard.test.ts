import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Page } from "playwright-core";
import { Rig } from "./rig";

let rig: Rig;
let page: Page & { problems: string[] };
beforeAll(async () => {
  rig = await Rig.start();
  page = await rig.page();
});
afterAll(async () => {
  await rig.stop();
});

const focused = (p: Page) => p.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent?.trim() ?? "");
/** Tab until something of that name has the focus. */
async function tabTo(name: RegExp, key = "Tab") {
  for (let n = 0; n < 60; n++) {
    if (name.test(await focused(page))) {
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle + getComputedStyle(document.activeElement!).boxShadow);
      expect(ring, `whoever uses no mouse must see where they are: ${name}`).not.toBe("nonenone");
      return;
    }
    await page.keyboard.press(key);
  }
  throw new Error(`${name} cannot be reached by ${key}; the focus is on ${await focused(page)}`);
}

describe("the main way, with the mouse unplugged", () => {
  it("goes from three doors to an instance", async () => {
    await page.getByRole("button", { name: "Start practising" }).waitFor();
    await tabTo(/^Start practising$/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    // Return creates, from the version that has the focus.
    await page.keyboard.press("ArrowRight");
    await page.getByRole("radio", { name: /2025/, checked: true }).waitFor();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Enter");
    await page.getByTestId("masked").waitFor({ timeout: 45_000 });
    await page.getByRole("heading", { name: "sql2022" }).waitFor();
  });

  it("copies with one key", async () => {
    await page.keyboard.press("Control+c");
    await page.getByRole("dialog").getByText("berth connection practice/sql2022").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  it("picks another format", async () => {
    await page.keyboard.press("Control+Alt+c");
    await page.getByRole("option", { name: "ADO.NET", exact: true }).waitFor();
    await page.keyboard.type("JDBC");
    await page.keyboard.press("Enter");
    await page.getByTestId("masked").getByText("jdbc:sqlserver", { exact: false }).waitFor();
  });

  it("filters, goes down into the list, and through it", async () => {
    await page.keyboard.press("Control+n");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "sql2022-2" }).waitFor();
    await page.getByTestId("masked").waitFor({ timeout: 45_000 });
    await page.keyboard.press("Control+f");
    await page.keyboard.type("sql");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("End");
    await page.getByRole("heading", { name: "sql2022-2" }).waitFor();
    await page.keyboard.press("ArrowUp");
    await page.getByRole("heading", { name: "sql2022", exact: true }).waitFor();
  });

  it("reaches every tab by arrows", async () => {
    await tabTo(/^Overview$/);
    for (const tab of ["Databases", "Logs", "Activity"]) {
      await page.keyboard.press("ArrowRight");
      await page.getByRole("tab", { name: tab, selected: true }).waitFor();
    }
  });

  it("finds every command in the palette", async () => {
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Type a command").waitFor();
    await page.keyboard.type("stop");
    await page.keyboard.press("Enter");
    await page.getByRole("option", { name: /^sql2022 .*stopped/ }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByPlaceholder("Type a command").waitFor();
    await page.keyboard.type("settings");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Settings" }).waitFor();
    await page.keyboard.press("Escape");
  });

  it("asks every host anew", async () => {
    await page.keyboard.press("Control+r");
    await page.getByRole("option", { name: /^sql2022 .*stopped/ }).waitFor();
    await page.getByText("does not answer. Trying again").waitFor({ state: "detached" });
  });

  it("removes", async () => {
    await page.keyboard.press("Control+Backspace");
    await page.getByRole("dialog", { name: "Remove sql2022?" }).waitFor();
    await tabTo(/^Remove$/);
    await page.keyboard.press("Enter");
    await page.getByRole("option", { name: /^sql2022 / }).waitFor({ state: "detached" });
  });

  it("gives the focus back to where a sheet was opened from", async () => {
    await tabTo(/^Settings$/, "Shift+Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await focused(page)).toBe("Settings");
  });
});
