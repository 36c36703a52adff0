import type { OperationView, Past, PastStep } from "../backend";

/** One operation as the list of activity shows it: of this agent, of an earlier one, or of both. */
export interface Entry {
  id: string;
  title: string;
  /** `HOST/NAME`. */
  subject: string;
  state: string;
  startedAt: string;
  endedAt: string | null;
  phase: string | null;
  error: string | null;
  /** Its log, once it ended. */
  steps: PastStep[];
  /** Whether the agent that lives now did it: only that one can do it again. */
  live: boolean;
}

/** Those of this agent and those of the past, each once, newest first. */
export function entriesOf(operations: Iterable<OperationView>, past: readonly Past[], subject: string | null): Entry[] {
  const by = new Map<string, Entry>();
  for (const p of past)
    by.set(p.id, {
      id: p.id,
      title: p.title,
      subject: p.host && p.instance ? `${p.host}/${p.instance}` : "",
      state: p.outcome,
      startedAt: p.started_at,
      endedAt: p.ended_at,
      phase: null,
      error: p.error,
      steps: p.steps,
      live: false,
    });
  for (const o of operations)
    by.set(o.id, {
      id: o.id,
      title: o.title,
      subject: o.subject,
      state: o.state,
      startedAt: o.started_at,
      endedAt: o.ended_at,
      phase: o.phase,
      error: o.error?.message ?? null,
      steps: by.get(o.id)?.steps ?? [],
      live: true,
    });
  return [...by.values()].filter((e) => subject === null || e.subject === subject).sort((a, b) => (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : 0));
}

export const canRetry = (entry: Entry) => entry.live && (entry.state === "failed" || entry.state === "cancelled");

/** What happened, each once: a phase that went well said it all when it began. */
export const told = (steps: readonly PastStep[]) => steps.filter((step) => step.kind !== "done");
