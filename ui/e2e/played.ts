/** The page is the real one; what is behind it is played: hosts that are not at hand. */
import type { Page } from "playwright-core";
import type { Change, HostLive } from "../src/lib/backend/bindings";

export interface Frame {
  t: string;
  id: number;
  command: string;
  body: Record<string, unknown>;
  secrets: Record<string, string>;
}
/** Sends a frame to the call with this id; with `failed` it is what went wrong. */
export type Say = (t: "item" | "done" | "failed", id: number, body: unknown) => void;

/** A host called `lab` that answers. */
export function lab(more: Partial<HostLive> = {}): HostLive {
  const now = new Date().toISOString();
  const host = { name: "lab", address: "ssh://ada@lab", os: "linux", route: null, is_default: true, is_practice: false, sign_in: "agent", host_key: null, reached: null, notes: [], warning: null, reach: "connected" };
  return { host, state: "connected", since: now, seen_at: now, retry_at: null, error: null, found: [], ...more } as unknown as HostLive;
}

/** Answers every call with `answer`, as far as it does; the rest as a Berth with these hosts and nothing else. All frames are returned as they come. */
export async function play(page: Page, hosts: HostLive[], answer: (frame: Frame, say: Say) => boolean): Promise<Frame[]> {
  const asked: Frame[] = [];
  await page.routeWebSocket(/\/socket$/, (socket) => {
    const say: Say = (t, id, body) => socket.send(JSON.stringify(t === "failed" ? { t, id, error: body } : { t, id, body }));
    socket.onMessage((text) => {
      if (!String(text).startsWith("{")) return;
      const frame = JSON.parse(String(text)) as Frame;
      asked.push(frame);
      if (frame.t !== "call" || answer(frame, say)) return;
      if (frame.command === "berth.watch") say("item", frame.id, { kind: "snapshot", hosts, instances: [], operations: [] } satisfies Change);
      else if (frame.command === "data.list") say("done", frame.id, { data: [], unreached: [] });
      else if (/^connection\.(formats|carriers|tools)$|^host\.suggest$/.test(frame.command)) say("done", frame.id, []);
    });
  });
  await page.reload();
  return asked;
}
