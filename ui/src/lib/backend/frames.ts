import { BerthError, cancelled, type Backend, type Name, type Options, type Request, type Response } from "./index";
import type { ErrorView } from "./bindings";

/** What an adapter tells the page. There is no place in it for a secret. */
export type ToPage =
  | { t: "item"; id: number; body: unknown }
  | { t: "done"; id: number; body: unknown }
  | { t: "failed"; id: number; error: ErrorView };

interface Pending {
  item: ((body: never) => void) | undefined;
  done: (body: never) => void;
  failed: (error: BerthError) => void;
}

/** Calls by number over anything that carries frames: both adapters speak the same. */
export abstract class Frames implements Backend {
  abstract readonly kind: Backend["kind"];
  #next = 1;
  #pending = new Map<number, Pending>();

  /** Sends one frame; rejects where nothing is connected. */
  protected abstract send(frame: string): Promise<void>;

  protected take(frame: ToPage): void {
    const call = this.#pending.get(frame.id);
    if (!call) return;
    if (frame.t === "item") {
      call.item?.(frame.body as never);
      return;
    }
    this.#pending.delete(frame.id);
    if (frame.t === "done") call.done(frame.body as never);
    else call.failed(new BerthError(frame.error));
  }

  /** Everything under way fails: what carried it is gone. */
  protected lost(error: BerthError): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const call of all) call.failed(error);
  }

  call<C extends Name>(command: C, body: Request<C>, options: Options<C> = {}): Promise<Response<C>> {
    const id = this.#next++;
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled());
        return;
      }
      const stop = () => {
        if (!this.#pending.delete(id)) return;
        void this.send(JSON.stringify({ t: "cancel", id })).catch(() => {});
        reject(cancelled());
      };
      const settled = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop, { once: true });
      this.#pending.set(id, {
        item: options.onItem as Pending["item"],
        done: (answer) => {
          settled();
          resolve(answer);
        },
        failed: (error) => {
          settled();
          reject(error);
        },
      });
      this.send(JSON.stringify({ t: "call", id, command, body, secrets: options.secrets ?? {} })).catch((error: unknown) => {
        if (this.#pending.delete(id)) {
          settled();
          reject(BerthError.of(error));
        }
      });
    });
  }
}
