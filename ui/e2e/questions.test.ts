import { afterAll, beforeAll, expect, it } from "vitest";
import type { Change, HostCheck, HostLive, HostView, Question } from "../src/lib/backend/bindings";
import { axe } from "./axe";
import { Rig } from "./rig";

/** The page is the real one; the host that asks for a code at each sign-in is played. */
let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig.stop();
});

interface Frame {
  t: string;
  id: number;
  command: string;
  body: Record<string, unknown>;
  secrets: Record<string, string>;
}

it("what a host asks at a check is asked in its words, answered beside the request, and given up by Escape", async () => {
  const page = await rig.page();
  const host = { name: "lab", address: "ssh://ada@lab", os: "linux", route: null, is_default: true, is_practice: false, sign_in: "keyboard-interactive", host_key: null, reached: null, notes: [], reach: "connected" } as unknown as HostView;
  const live = { host, state: "connected", since: new Date().toISOString(), seen_at: new Date().toISOString(), retry_at: null, error: null, found: [] } as unknown as HostLive;
  const question: Question = { id: 7, from: "ada@lab:22", title: "", instructions: "Second factor", prompts: [{ text: "Verification code: ", hidden: true }] };
  const check: HostCheck = { host, facts: [{ id: "engine", label: "Engine", value: "28.2.2" }], ladder: [], findings: [], works: true };
  const asked: Frame[] = [];
  await page.routeWebSocket(/\/socket$/, (socket) => {
    let checking = 0;
    const say = (t: string, id: number, body: unknown) => socket.send(JSON.stringify({ t, id, body }));
    socket.onMessage((text) => {
      if (!String(text).startsWith("{")) return;
      const frame = JSON.parse(String(text)) as Frame;
      asked.push(frame);
      if (frame.t !== "call") return;
      if (frame.command === "berth.watch") say("item", frame.id, { kind: "snapshot", hosts: [live], instances: [], operations: [] } as unknown as Change);
      else if (frame.command === "host.check") {
        checking = frame.id;
        say("item", checking, question);
      } else if (frame.command === "host.answer") {
        say("done", frame.id, {});
        say("done", checking, check);
      } else if (frame.command === "data.list") say("done", frame.id, { data: [], unreached: [] });
      else if (/^connection\.(formats|carriers|tools)$/.test(frame.command)) say("done", frame.id, []);
    });
  });
  await page.reload();
  await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).click();
  await page.getByRole("button", { name: "Check now" }).press("Enter");
  const dialog = page.getByRole("dialog", { name: "ada@lab:22 asks" });
  await dialog.getByText("Second factor").waitFor();
  expect(await axe(page)).toEqual([]);
  await page.keyboard.type("Canary-0815");
  await page.keyboard.press("Enter");
  await page.getByText("28.2.2").waitFor();
  const answer = asked.find((frame) => frame.command === "host.answer");
  expect(answer?.body).toEqual({ question: 7, answers: 1 });
  expect(answer?.secrets).toEqual({ 0: "Canary-0815" });
  expect(await dialog.count(), "an answered question is gone").toBe(0);
  expect(await page.content(), "and with it what was typed").not.toContain("Canary");

  await page.getByRole("button", { name: "Check now" }).press("Enter");
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  const last = asked.findLast((frame) => frame.command === "host.check");
  await expect.poll(() => asked.some((frame) => frame.t === "cancel" && frame.id === last?.id), { message: "a question that nobody answers is not waited for" }).toBe(true);
  expect(await page.getByRole("button", { name: "Check now" }).isEnabled(), "and the check can be tried again").toBe(true);
  await page.context().close();
});
