import { afterAll, beforeAll, expect, it } from "vitest";
import type { HostLive } from "../src/lib/backend/bindings";
import { axe } from "./axe";
import { lab, play } from "./played";
import { Rig } from "./rig";

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig.stop();
});

it("what Berth did not make is shown with its host, and adopted with its password beside the request", async () => {
  const page = await rig.page();
  const now = new Date().toISOString();
  const host = lab({ found: [{ host: "lab", container: "c0ffee", name: "legacy-sql", image: "mcr.microsoft.com/mssql/server:2019-latest", state: "running" }] } as unknown as Partial<HostLive>);
  const instance = { id: "i1", name: "legacy-sql", host: "lab", version: "2019", edition: "developer", state: "running", endpoint_host: "127.0.0.1", port: 14330, endpoint_open: true, data: "keep", login: "sa", memory: 2 ** 31, image: "i", container: "c0ffee", owner: "", created_at: now, seen_at: now, fresh: true, practice: false, credentials: true, unfinished: false, adopted: true };
  let watch = 0;
  const asked = await play(page, [host], (frame, say) => {
    if (frame.command === "berth.watch") {
      watch = frame.id;
      return false;
    }
    if (frame.command === "instance.adopt") say("done", frame.id, { operation: "o1" });
    else if (frame.command === "operation.watch") {
      say("item", watch, { kind: "instances", instances: [instance] });
      say("done", frame.id, { instance, notes: [], changed: true });
    } else return false;
    return true;
  });
  await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).click();
  await page.getByRole("list", { name: "SQL Servers that Berth did not make" }).getByText("legacy-sql").waitFor();
  expect(await axe(page)).toEqual([]);
  await page.getByRole("button", { name: "Adopt… legacy-sql" }).press("Enter");
  await page.getByLabel("Password").fill("Canary-0815-sa");
  expect(await axe(page)).toEqual([]);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "legacy-sql", level: 1 }).waitFor();
  const adopt = asked.find((frame) => frame.command === "instance.adopt");
  expect(adopt?.secrets).toEqual({ password: "Canary-0815-sa" });
  expect(JSON.stringify(adopt?.body)).not.toContain("Canary");
  expect(await page.content(), "what was typed is gone with its sheet").not.toContain("Canary");
  // It is let go, and never removed.
  await page.keyboard.press("Control+Backspace");
  await page.getByRole("dialog").getByRole("button", { name: "Let go" }).waitFor();
  expect(await page.getByRole("dialog").getByRole("checkbox").count(), "nothing of what others made is deleted from here").toBe(0);
  await page.context().close();
});
