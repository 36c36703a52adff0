import type { OperationEvent } from "../backend";

/** One phase as it is shown: folded from an operation's events. */
export interface Phase {
  name: string;
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  text: string;
  /** Milliseconds since the operation began. */
  began: number;
  ended: number | null;
  progress: [number, number] | null;
}

/** What is still to come, so that nothing appears out of nowhere. */
const PLAN: Record<string, string[]> = {
  up: ["plan", "image", "credentials", "container", "ready", "password", "endpoint"],
  start: ["plan", "container", "ready", "endpoint"],
  stop: ["plan", "checkpoint", "stop"],
  restart: ["plan", "checkpoint", "stop", "container", "ready", "endpoint"],
  remove: ["plan", "remove"],
  change: ["plan", "checkpoint", "stop", "container", "ready", "endpoint"],
  build: ["host", "build"],
  "reset the password of": ["plan", "password"],
};

export function waiting(kind: string, steps: string[] = []): Phase[] {
  return [...(PLAN[kind] ?? []), ...steps].map((name) => ({ name, state: "waiting", text: "", began: 0, ended: null, progress: null }));
}

/** Takes one event into the phases. */
export function step(phases: Phase[], event: OperationEvent): Phase[] {
  const at = phases.findIndex((p) => p.name === event.phase && p.state !== "done");
  const before = at >= 0 ? phases[at] : undefined;
  const phase: Phase = before ? { ...before } : { name: event.phase, state: "waiting", text: "", began: event.at_ms, ended: null, progress: null };
  switch (event.kind) {
    case "started":
      phase.state = "running";
      phase.began = event.at_ms;
      phase.text = event.text;
      break;
    case "progress":
      if (phase.state === "waiting") {
        phase.state = "running";
        phase.began = event.at_ms;
      }
      phase.text = event.text;
      phase.progress = event.progress;
      break;
    case "done":
      phase.state = "done";
      phase.ended = event.at_ms;
      phase.progress = null;
      break;
    case "failed":
      phase.state = "failed";
      phase.ended = event.at_ms;
      phase.text = event.text;
      phase.progress = null;
      break;
    default:
      phase.state = "cancelled";
      phase.ended = event.at_ms;
      phase.progress = null;
  }
  const next = [...phases];
  if (before) {
    next[at] = phase;
    // Planned phases that were passed over did not have to happen.
    return next.filter((p, i) => i >= at || p.state !== "waiting");
  }
  const ahead = next.findIndex((p) => p.state === "waiting");
  next.splice(ahead < 0 ? next.length : ahead, 0, phase);
  return next;
}

/** Where it ended, nothing is still to come. */
export const settle = (phases: Phase[]) => phases.filter((p) => p.state !== "waiting");
