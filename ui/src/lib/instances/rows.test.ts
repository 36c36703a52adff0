import { describe, expect, it } from "vitest";
import type { InstanceView, OperationView } from "../backend";
import { rowsOf, type Row, type What } from "./rows";

const instance = (host: string, name: string, more: Partial<InstanceView> = {}): InstanceView => ({
  id: `${host}-${name}`,
  name,
  host,
  version: "2022",
  edition: "express",
  state: "running",
  cause: null,
  hint: null,
  endpoint_host: "127.0.0.1",
  port: 14330,
  endpoint_open: true,
  data: "keep",
  database: null,
  login: "sa",
  memory: 2 ** 31,
  image: "i",
  container: "c",
  owner: "ada@mac",
  created_at: "2026-11-01T00:00:00Z",
  started_at: null,
  seen_at: "2026-11-22T00:00:00Z",
  fresh: true,
  practice: host === "practice",
  credentials: true,
  unfinished: false,
  ...more,
});
const operation = (subject: string, more: Partial<OperationView> = {}): OperationView => ({
  id: `op-${subject}`,
  kind: "up",
  subject,
  title: "Bring up",
  state: "running",
  started_at: "2026-11-22T00:00:00Z",
  ended_at: null,
  phase: null,
  error: null,
  ...more,
});
const what = (more: Partial<What>): What => ({ instances: [], operations: [], hosts: new Map(), host: null, filter: "", order: "name", dismissed: {}, ...more });
const names = (w: Partial<What>) => rowsOf(what(w)).map((line) => (line.kind === "row" ? line.key : `# ${line.host}`));
const row = (w: Partial<What>, key: string) => rowsOf(what(w)).find((line): line is Row => line.kind === "row" && line.key === key);

describe("the list of instances", () => {
  it("is grouped by host, the practice host last, names as people count", () => {
    const instances = [instance("practice", "a"), instance("win", "db10"), instance("win", "db2"), instance("lab", "z")];
    expect(names({ instances })).toEqual(["# lab", "lab/z", "# win", "win/db2", "win/db10", "# practice", "practice/a"]);
  });

  it("keeps its order whatever state changes", () => {
    const instances = [instance("win", "b"), instance("win", "a", { state: "failed" }), instance("win", "c", { state: "stopped" })];
    const before = names({ instances });
    expect(names({ instances: [...instances].reverse().map((i) => ({ ...i, state: "running" })) }), "rows that jump are clicked by mistake").toEqual(before);
  });

  it("shows what is being made before its container is there, and what failed until it is put away", () => {
    expect(names({ operations: [operation("win/new")] })).toEqual(["# win", "win/new"]);
    const failed = operation("win/new", { state: "failed" });
    expect(row({ operations: [failed] }, "win/new")?.shown.tone).toBe("bad");
    expect(names({ operations: [failed], dismissed: { [failed.id]: true } })).toEqual([]);
    expect(names({ operations: [operation("win/new", { state: "done" })] }), "what was removed since must not come back").toEqual([]);
    expect(names({ operations: [operation("win/0f8c1c8e-4a7e-4a3e-9c1c-000000000000")] }), "a name that is not chosen yet is none").toEqual([]);
  });

  it("finds by name, host, port and state", () => {
    const instances = [instance("win", "orders", { port: 14333 }), instance("lab", "reports", { state: "stopped" })];
    for (const [filter, found] of [["ord", "win/orders"], ["14333", "win/orders"], ["LAB", "lab/reports"], ["stopped", "lab/reports"]] as const)
      expect(names({ instances, filter }).at(-1), filter).toBe(found);
    expect(names({ instances, filter: "nothing" })).toEqual([]);
  });

  it("says that it is old where the host does not answer", () => {
    const instances = [instance("win", "a", { fresh: false, state: "unknown" })];
    expect(row({ instances }, "win/a")?.shown, "green for what nobody has seen is a lie").toEqual({ word: "not reachable", tone: "off" });
  });

  it("does not slow down with a thousand rows", () => {
    const instances = Array.from({ length: 1000 }, (_, n) => instance(`h${n % 50}`, `i${n}`));
    expect(rowsOf(what({ instances })).length).toBe(1050);
  });
});
