import { expect, test } from "vitest";
import type { OperationView, Past } from "../backend";
import { canRetry, entriesOf, told } from "./past";

const operation = (id: string, more: Partial<OperationView> = {}): OperationView => ({
  id,
  kind: "up",
  subject: "winhost/orders",
  title: `Bring up \`orders\` (${id})`,
  state: "done",
  started_at: "2026-11-22T10:00:00Z",
  ended_at: "2026-11-22T10:00:05Z",
  phase: "endpoint",
  error: null,
  ...more,
});
const past = (id: string, more: Partial<Past> = {}): Past => ({
  id,
  title: `Bring up \`orders\` (${id})`,
  host: "winhost",
  instance: "orders",
  started_at: "2026-11-21T10:00:00Z",
  ended_at: "2026-11-21T10:00:05Z",
  outcome: "failed",
  error: "No room",
  steps: [{ at_ms: 3, phase: "plan", kind: "started", text: "Looking" }],
  ...more,
});

test("what ended is there once, with its log, newest first", () => {
  const all = entriesOf([operation("b"), operation("c", { started_at: "2026-11-22T11:00:00Z", state: "running", ended_at: null })], [past("a"), past("b")], null);
  expect(all.map((e) => [e.id, e.state, e.steps.length])).toEqual([
    ["c", "running", 0],
    ["b", "done", 1],
    ["a", "failed", 1],
  ]);
});

test("only those on one instance are shown with it", () => {
  const all = entriesOf([operation("b", { subject: "winhost/other" })], [past("a"), past("x", { instance: null })], "winhost/orders");
  expect(all.map((e) => e.id)).toEqual(["a"]);
});

test("only what this agent did can be done again", () => {
  const [live, old] = entriesOf([operation("b", { state: "failed" })], [past("a")], null);
  expect([canRetry(live!), canRetry(old!)], "an earlier agent took the wish with it").toEqual([true, false]);
});

test("a log says a thing once", () => {
  const step = (kind: string) => ({ at_ms: 0, phase: "plan", kind, text: "Looking" });
  expect(told([step("started"), step("done"), step("failed")]).map((s) => s.kind)).toEqual(["started", "failed"]);
});
