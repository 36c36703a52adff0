import { Frames } from "./frames";

/** The window of the app. */
export class App extends Frames {
  readonly kind = "app";
  protected override send(_frame: string): Promise<void> {
    return Promise.reject(new Error("not built in"));
  }
}
