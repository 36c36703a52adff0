/** The app itself on a display, a bus and a home of its own, driven through WebKit's own driver (W3C WebDriver). */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { has, keychain, lacking, say, until } from "./keychain";
import { programs } from "./rig";

const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** What this machine lacks for it, in words; empty where nothing. */
export function missing(): string {
  if (process.platform !== "linux") return "that takes Linux";
  const without = [...["Xvfb", "WebKitWebDriver", "xclip", "xdotool"].filter((program) => !has(program)), ...lacking()];
  return without.length > 0 ? `no ${without.join(", ")}` : "";
}

const free = () =>
  new Promise<number>((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => found(port));
    });
  });

export class App {
  readonly home = mkdtempSync(join(tmpdir(), "berth-app-"));
  readonly environment: NodeJS.ProcessEnv = {};
  readonly #children: ChildProcess[] = [];
  #driver = "";
  #session = "";

  static async start(binary = join(programs, "berth-app")): Promise<App> {
    const app = await App.stage();
    try {
      await app.open(binary);
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  /** A display, a bus, a home and a driver, and no app yet. */
  static async stage(): Promise<App> {
    const app = new App();
    try {
      await app.#begin();
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  /** Starts a program with a window, and takes that. */
  async open(binary: string): Promise<void> {
    const made = await this.#ask<{ sessionId: string }>("POST", "/session", {
      capabilities: { alwaysMatch: { "webkitgtk:browserOptions": { binary, args: [] } } },
    });
    this.#session = `/session/${made.sessionId}`;
  }

  /** Ends that program. */
  async close(): Promise<void> {
    const session = this.#session;
    this.#session = "";
    if (session) await this.#ask("DELETE", session).catch(() => {});
  }

  #spawn(program: string, words: string[], stdio: ("ignore" | "pipe")[]): ChildProcess {
    const child = spawn(program, words, { env: this.environment, stdio });
    this.#children.push(child);
    return child;
  }

  async #begin(): Promise<void> {
    const runtime = join(this.home, "run");
    mkdirSync(runtime, { mode: 0o700 });
    Object.assign(this.environment, {
      PATH: process.env["PATH"],
      HOME: this.home,
      BERTH_HOME: join(this.home, "berth"),
      XDG_RUNTIME_DIR: runtime,
      XDG_CONFIG_HOME: join(this.home, "config"),
      XDG_DATA_HOME: join(this.home, "data"),
      XDG_CACHE_HOME: join(this.home, "cache"),
      TMPDIR: runtime,
      LANG: "C.UTF-8",
      GDK_BACKEND: "x11",
      LIBGL_ALWAYS_SOFTWARE: "1",
      WEBKIT_DISABLE_DMABUF_RENDERER: "1",
      NO_AT_BRIDGE: "1",
      // Opens the view to a driver; what nobody sets is closed.
      TAURI_WEBVIEW_AUTOMATION: "true",
    });
    const screen = this.#spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"], ["ignore", "ignore", "ignore", "pipe"]);
    this.environment["DISPLAY"] = `:${await say(screen, 3, /(\d+)\n/)}`;
    this.#children.push(...(await keychain(runtime, this.environment)));
    const port = await free();
    this.#spawn("WebKitWebDriver", ["--host=127.0.0.1", `--port=${port}`], ["ignore", "ignore", "ignore"]);
    this.#driver = `http://127.0.0.1:${port}`;
    await until("the driver", async () => (await fetch(`${this.#driver}/status`)).ok);
  }

  async #ask<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(this.#driver + path, { method, ...(body ? { body: JSON.stringify(body) } : {}), signal: AbortSignal.timeout(30_000) });
    const { value } = (await answer.json()) as { value: T & { error?: string; message?: string } };
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  /** The first element that an XPath names, once it is there. */
  async find(xpath: string, ms = 30_000, pause = 100): Promise<string> {
    let id = "";
    await until(
      xpath,
      async () => {
        const found = await this.#ask<Record<string, string>[]>("POST", `${this.#session}/elements`, { using: "xpath", value: xpath });
        id = found[0]?.[ELEMENT] ?? "";
        return id !== "";
      },
      ms,
      pause,
    );
    return id;
  }

  /** As a click does; the driver's own pointer waits for ever where no window manager is. */
  async click(xpath: string): Promise<void> {
    // A page may draw anew between the two.
    await until(`a click on ${xpath}`, async () => {
      await this.#ask("POST", `${this.#session}/execute/sync`, { script: "arguments[0].click()", args: [{ [ELEMENT]: await this.find(xpath) }] });
      return true;
    });
  }

  text = async (xpath: string) => this.#ask<string>("GET", `${this.#session}/element/${await this.find(xpath)}/text`);
  run = <T>(script: string) => this.#ask<T>("POST", `${this.#session}/execute/sync`, { script, args: [] });

  /** Presses keys together. */
  async press(...keys: string[]): Promise<void> {
    const actions = [...keys.map((value) => ({ type: "keyDown", value })), ...[...keys].reverse().map((value) => ({ type: "keyUp", value }))];
    await this.#ask("POST", `${this.#session}/actions`, { actions: [{ type: "key", id: "keys", actions }] });
  }

  /** Presses a key as a keyboard does, so that menus hear it too: the driver's own keys reach the page alone. */
  key(name: string): void {
    // Without a window manager, keys go to the window below the pointer.
    spawnSync("xdotool", ["mousemove", "640", "400", "key", "--clearmodifiers", name], { env: this.environment, timeout: 10_000 });
  }

  /** The command, as somebody in a terminal beside the window. */
  berth(...words: string[]): { code: number | null; out: string; err: string } {
    const ran = spawnSync(join(programs, "berth"), words, { env: this.environment, encoding: "utf8", timeout: 60_000 });
    return { code: ran.status, out: ran.stdout, err: ran.stderr };
  }

  clipboard(): string {
    return spawnSync("xclip", ["-o", "-selection", "clipboard"], { env: this.environment, encoding: "utf8", timeout: 10_000 }).stdout ?? "";
  }

  async stop(): Promise<void> {
    await this.close();
    this.berth("agent", "stop", "--force");
    for (const child of this.#children.reverse()) child.kill();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
