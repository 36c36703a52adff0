import type { HostLive, InstanceView, OperationView } from "../backend";
import { nameOf } from "../live.svelte";
import { stateOf, type Shown } from "./state";

/** One line of the list: an instance, or one that is just being made. */
export interface Row {
  kind: "row";
  /** `HOST/NAME`. */
  key: string;
  name: string;
  host: string;
  instance: InstanceView | undefined;
  operation: OperationView | undefined;
  shown: Shown;
}
export interface Heading {
  kind: "heading";
  key: string;
  host: string;
}

export interface What {
  instances: Iterable<InstanceView>;
  operations: Iterable<OperationView>;
  hosts: ReadonlyMap<string, HostLive>;
  /** Only this host's, or all. */
  host: string | null;
  filter: string;
  order: "name" | "newest";
  /** Failed operations that were put away. */
  dismissed: Record<string, boolean>;
}

/** Rows grouped by host, in an order that events do not change. */
export function rowsOf(what: What): (Row | Heading)[] {
  const operations = new Map<string, OperationView>();
  for (const operation of what.operations) {
    const before = operations.get(operation.subject);
    if (!before || operation.state === "running" || (before.state !== "running" && operation.started_at >= before.started_at))
      operations.set(operation.subject, operation);
  }
  const rows = new Map<string, Row>();
  for (const instance of what.instances) {
    const key = nameOf(instance);
    const operation = operations.get(key);
    const host = what.hosts.get(instance.host);
    rows.set(key, { kind: "row", key, name: instance.name, host: instance.host, instance, operation, shown: stateOf(instance, operation, host) });
  }
  for (const [key, operation] of operations) {
    if (rows.has(key) || operation.kind !== "up") continue;
    if (operation.state !== "running" && (operation.state !== "failed" || what.dismissed[operation.id])) continue;
    const [host, name] = key.split("/", 2);
    if (!host || !name || /^[0-9a-f]{8}-[0-9a-f]{4}-/.test(name)) continue;
    rows.set(key, { kind: "row", key, name, host, instance: undefined, operation, shown: stateOf(undefined, operation, undefined) });
  }

  const wanted = what.filter.trim().toLowerCase();
  const fits = (row: Row) =>
    (what.host === null || row.host === what.host) &&
    (wanted === "" ||
      [row.name, row.host, row.shown.word, row.instance?.version, row.instance?.edition, row.instance?.database, String(row.instance?.port ?? "")].some((text) =>
        text?.toLowerCase().includes(wanted),
      ));
  const newest = (row: Row) => row.instance?.created_at ?? row.operation?.started_at ?? "";
  const practiceLast = (host: string) => (host === "practice" ? 1 : 0);
  const sorted = [...rows.values()].filter(fits).sort(
    (a, b) =>
      practiceLast(a.host) - practiceLast(b.host) ||
      compare(a.host, b.host) ||
      (what.order === "newest" ? compare(newest(b), newest(a)) : 0) ||
      natural.compare(a.name, b.name),
  );

  const lines: (Row | Heading)[] = [];
  let host: string | undefined;
  for (const row of sorted) {
    if (row.host !== host) {
      host = row.host;
      lines.push({ kind: "heading", key: `heading:${host}`, host });
    }
    lines.push(row);
  }
  return lines;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const natural = new Intl.Collator("en", { numeric: true });
