import { flushSync } from "svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BerthError, cancelled, type Backend, type Change, type InstanceView, type OperationView } from "./backend";
import { Live } from "./live.svelte";

const instance = (id: string, more: Partial<InstanceView> = {}) => ({ id, name: id, host: "win", state: "running", fresh: true, ...more }) as InstanceView;
const operation = (id: string, more: Partial<OperationView> = {}) =>
  ({ id, kind: "stop", subject: "win/a", state: "running", started_at: "2026-11-22T10:00:00Z", ...more }) as OperationView;
const snapshot = (instances: InstanceView[]): Change => ({ kind: "snapshot", hosts: [], instances, operations: [] });

/** A stream that the test feeds and breaks. */
class Played {
  watches: { say: (change: Change) => void; fail: (error: BerthError) => void; stopped: boolean }[] = [];
  readonly backend = {
    kind: "web",
    call: (command: string, _request: object, options: { onItem: (change: Change) => void; signal: AbortSignal }) =>
      new Promise((done, failed) => {
        if (command !== "berth.watch") return done([]);
        const watch = { say: options.onItem, fail: failed as (error: BerthError) => void, stopped: false };
        this.watches.push(watch);
        options.signal.addEventListener("abort", () => {
          watch.stopped = true;
          failed(cancelled());
        });
      }),
  } as unknown as Backend;
}
const broken = () => new BerthError({ code: "failed", message: "The agent ended", causes: [], hint: null, details: [] });

describe("what the window knows", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("follows changes, and a new first picture replaces the old one", () => {
    const live = new Live(new Played().backend);
    live.take(snapshot([instance("a"), instance("b")]));
    live.take({ kind: "instances", instances: [instance("a", { state: "stopped" })] });
    live.take({ kind: "instances_gone", ids: ["b"] });
    expect([...live.instances.values()].map((i) => `${i.id} ${i.state}`)).toEqual(["a stopped"]);
    live.take(snapshot([instance("c")]));
    expect([...live.instances.keys()], "what was removed while nobody listened must not stay").toEqual(["c"]);
  });

  it("begins again after a break, and says meanwhile that it is away", async () => {
    const played = new Played();
    const live = new Live(played.backend);
    void live.run();
    played.watches[0]!.say(snapshot([instance("a")]));
    expect(live.away).toBeNull();
    played.watches[0]!.fail(broken());
    await vi.advanceTimersByTimeAsync(10);
    expect(live.away?.message, "old truth must not look like new").toBe("The agent ended");
    expect(live.instances.size, "what was known stays to be seen").toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    played.watches[1]!.say(snapshot([instance("a")]));
    expect(live.away).toBeNull();
    live.end();
    expect(played.watches[1]!.stopped).toBe(true);
  });

  it("asks anew without a word when somebody wants it", async () => {
    const played = new Played();
    const live = new Live(played.backend);
    void live.run();
    played.watches[0]!.say(snapshot([]));
    live.refresh();
    await vi.advanceTimersByTimeAsync(1000);
    expect(played.watches.length).toBe(2);
    expect(live.away, "nothing is broken").toBeNull();
    live.end();
  });

  it("tells the operation that matters: the one under way, else the latest", () => {
    const live = new Live(new Played().backend);
    live.take({ kind: "operation", operation: operation("1", { state: "failed", started_at: "2026-11-22T11:00:00Z" }) });
    live.take({ kind: "operation", operation: operation("2", { state: "done", started_at: "2026-11-22T12:00:00Z" }) });
    expect(live.operationOf("win/a")?.id).toBe("2");
    live.take({ kind: "operation", operation: operation("0", { started_at: "2026-11-22T09:00:00Z" }) });
    flushSync();
    expect(live.operationOf("win/a")?.id, "what is being done now is what people look for").toBe("0");
    expect(live.underWay.map((o) => o.id)).toEqual(["0"]);
  });
});
