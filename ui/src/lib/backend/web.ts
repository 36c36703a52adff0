import { BerthError } from "./index";
import { Frames, type ToPage } from "./frames";

const TOKEN = "berth-token";

/** The token of this start comes after `#`, which a browser sends to nobody; it is taken out of the address at once. */
function token(): string {
  const found = /[#&]token=([0-9a-f]+)/.exec(location.hash)?.[1];
  if (found) {
    sessionStorage.setItem(TOKEN, found);
    history.replaceState(null, "", location.pathname);
    return found;
  }
  return sessionStorage.getItem(TOKEN) ?? "";
}

const unreachable = (cause: string) =>
  new BerthError({
    code: "disconnected",
    message: "Berth is not running behind this page",
    causes: [cause],
    hint: "Start it again with make run, and open the address that it prints",
    details: [],
  });

/** The window in a browser: a WebSocket to the devhost. */
export class Web extends Frames {
  readonly kind = "web";
  readonly #token = token();
  #socket: Promise<WebSocket> | undefined;

  #open(): Promise<WebSocket> {
    this.#socket ??= new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${location.host}/socket`);
      socket.onopen = () => {
        socket.send(this.#token);
        resolve(socket);
      };
      socket.onmessage = (message: MessageEvent<string>) => this.take(JSON.parse(message.data) as ToPage);
      socket.onclose = (event) => {
        this.#socket = undefined;
        const error = unreachable(event.reason === "token" ? "the address is of an earlier start" : "its connection closed");
        reject(error);
        this.lost(error);
      };
    });
    return this.#socket;
  }

  protected override async send(frame: string): Promise<void> {
    const socket = await this.#open();
    socket.send(frame);
  }
}
