import { describe, expect, it } from "vitest";
import type { OperationEvent } from "../backend";
import { settle, step, waiting, type Phase } from "./phases";

let seq = 0;
const event = (phase: string, kind: string, at_ms: number, text = "", progress: [number, number] | null = null): OperationEvent => ({ seq: seq++, at_ms, phase, kind, text, progress });
const run = (kind: string, events: OperationEvent[]) => events.reduce(step, waiting(kind));
const brief = (phases: Phase[]) => phases.map((p) => `${p.name} ${p.state}`);

describe("an operation's phases", () => {
  it("are all there from the beginning, and go from waiting to done", () => {
    const phases = run("up", [event("plan", "started", 0), event("plan", "done", 5), event("image", "started", 5)]);
    expect(brief(phases).slice(0, 4)).toEqual(["plan done", "image running", "credentials waiting", "container waiting"]);
    expect(phases[0]?.ended).toBe(5);
  });

  it("that are passed over go away instead of waiting for ever", () => {
    const phases = run("up", [event("plan", "started", 0), event("plan", "done", 5), event("container", "started", 5)]);
    expect(brief(phases)).toEqual(["plan done", "container running", "ready waiting", "password waiting", "endpoint waiting"]);
  });

  it("that nobody planned appear before those still to come", () => {
    const phases = run("remove", [event("plan", "done", 1), event("remove", "done", 2), event("data", "started", 2)]);
    expect(brief(phases)).toEqual(["plan done", "remove done", "data running"]);
  });

  it("tell how far they are, and why they failed", () => {
    const phases = run("up", [event("image", "started", 0), event("image", "progress", 1, "layer 2", [5, 10]), event("image", "failed", 9, "No room")]);
    const image = phases.find((p) => p.name === "image");
    expect(image).toMatchObject({ state: "failed", text: "No room", ended: 9, progress: null });
    expect(settle(phases).every((p) => p.state !== "waiting"), "nothing is still to come after an end").toBe(true);
  });
});
