import { BerthError } from "./backend";

/** What a component asks for once, when it is opened: the answer, or why there is none. Nobody waits for it after the component is gone. */
export class Asked<T> {
  answer: T | undefined = $state.raw();
  problem: BerthError | undefined = $state.raw();

  constructor(ask: (signal: AbortSignal) => Promise<T>) {
    $effect(() => {
      const stop = new AbortController();
      ask(stop.signal)
        .then((answer) => (this.answer = answer))
        .catch((error: unknown) => {
          if (!stop.signal.aborted) this.problem = BerthError.of(error);
        });
      return () => stop.abort();
    });
  }
}
