import { describe, expect, it } from "vitest";
import { BerthError } from "./index";
import { Frames, type ToPage } from "./frames";

class Line extends Frames {
  readonly kind = "web";
  sent: { t: string; id: number; command?: string; secrets?: object }[] = [];
  broken = false;
  protected override async send(frame: string): Promise<void> {
    if (this.broken) throw new Error("no line");
    this.sent.push(JSON.parse(frame) as never);
  }
  say = (frame: ToPage) => this.take(frame);
  cut = () => this.lost(new BerthError({ code: "disconnected", message: "gone", causes: [], hint: null, details: [] }));
}

describe("calls over one line", () => {
  it("are told apart, items before the answer", async () => {
    const line = new Line();
    const seen: unknown[] = [];
    const first = line.call("instance.logs", { name: "a" }, { onItem: (item) => seen.push(item) });
    const second = line.call("agent.status", {});
    const [a, b] = line.sent.map((f) => f.id);
    line.say({ t: "done", id: b!, body: { version: "2" } });
    line.say({ t: "item", id: a!, body: { text: "x" } });
    line.say({ t: "done", id: a!, body: {} });
    expect(await second).toEqual({ version: "2" });
    await first;
    expect(seen).toEqual([{ text: "x" }]);
  });

  it("are cancelled at the other end too", async () => {
    const line = new Line();
    const stop = new AbortController();
    const call = line.call("berth.watch", {}, { signal: stop.signal });
    stop.abort();
    await expect(call).rejects.toMatchObject({ code: "cancelled" });
    expect(line.sent.at(-1), "else it would run on for nobody").toMatchObject({ t: "cancel", id: line.sent[0]!.id });
  });

  it("all fail when the line is cut, and later ones may go again", async () => {
    const line = new Line();
    const call = line.call("agent.status", {});
    line.cut();
    await expect(call).rejects.toMatchObject({ code: "disconnected" });
    line.broken = true;
    await expect(line.call("agent.status", {})).rejects.toThrow("no line");
  });

  it("fail with what the table says", async () => {
    const line = new Line();
    const call = line.call("instance.show", { name: "x" });
    line.say({ t: "failed", id: line.sent[0]!.id, error: { code: "not_found", message: "No", causes: ["c"], hint: "h", details: [["a", "b"]] } });
    await expect(call).rejects.toMatchObject({ code: "not_found", message: "No", causes: ["c"], hint: "h", details: { a: "b" } });
  });
});
