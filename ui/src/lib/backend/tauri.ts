import { Channel, invoke } from "@tauri-apps/api/core";
import { BerthError, type Native, type Request } from "./index";
import type { ErrorView } from "./bindings";
import { Frames, type ToPage } from "./frames";

type Told = ToPage | { t: "do"; id: string };

/** Rust answers with the same error as everywhere; anything else is Tauri's own. */
const failed = (error: unknown): BerthError =>
  typeof error === "object" && error !== null && "message" in error && "causes" in error
    ? new BerthError(error as ErrorView)
    : BerthError.of(error);

/** The window of the app. The only file that knows Tauri. */
export class App extends Frames {
  readonly kind = "app";
  readonly native: Native = {
    show: (wish: Request<"connection.show">) => this.#ask("show_string", { wish }),
    handOver: (tool, wish) => this.#ask<string | null>("hand_over", { tool, wish }),
    atLogin: (on) => this.#ask<boolean | null>("at_login", { on: on ?? null }),
    onChosen: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
  };
  #opened: Promise<void> | undefined;
  #listeners = new Set<(id: string) => void>();

  async #ask<T = void>(command: string, argument: Record<string, unknown>): Promise<T> {
    try {
      return await invoke<T>(command, argument);
    } catch (error) {
      throw failed(error);
    }
  }

  #open(): Promise<void> {
    this.#opened ??= (async () => {
      const toPage = new Channel<Told[]>();
      toPage.onmessage = (batch) => {
        for (const told of batch) {
          if (told.t === "do") for (const listener of this.#listeners) listener(told.id);
          else this.take(told);
        }
        // The next batch comes after this word.
        void invoke("taken");
      };
      await invoke("open_page", { toPage });
    })();
    return this.#opened;
  }

  protected override async send(frame: string): Promise<void> {
    await this.#open();
    await this.#ask("frame", { frame });
  }
}
