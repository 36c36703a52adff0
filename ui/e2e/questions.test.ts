import { afterAll, beforeAll, expect, it } from "vitest";
import type { HostCheck, Question } from "../src/lib/backend/bindings";
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

it("what a host asks at a check is asked in its words, answered beside the request, and given up by Escape", async () => {
  const page = await rig.page();
  const live = lab();
  const question: Question = { id: 7, from: "ada@lab:22", title: "", instructions: "Second factor", prompts: [{ text: "Verification code: ", hidden: true }] };
  const check: HostCheck = { host: live.host, facts: [{ id: "engine", label: "Engine", value: "28.2.2" }], ladder: [], findings: [], works: true, unknown_key: null };
  let checking = 0;
  const asked = await play(page, [live], (frame, say) => {
    if (frame.command === "host.check") {
      checking = frame.id;
      say("item", checking, question);
    } else if (frame.command === "host.answer") {
      say("done", frame.id, {});
      say("done", checking, check);
    } else return false;
    return true;
  });
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
