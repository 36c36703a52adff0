/** A devhost of its own, a practice host of its own, a browser, and nothing left behind. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { keychain } from "./keychain";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

const root = resolve(import.meta.dirname, "../..");
export const programs = join(process.env["CARGO_TARGET_DIR"] ?? join(root, "target"), "debug");
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The same letters on every machine.
  "--font-render-hinting=none",
];

export class Rig {
  readonly home = mkdtempSync(join(tmpdir(), "berth-"));
  readonly environment: NodeJS.ProcessEnv;
  #devhost: ChildProcess | undefined;
  #keychain: ChildProcess[] = [];
  address = "";
  browser!: Browser;

  private constructor() {
    this.environment = { ...process.env, BERTH_HOME: this.home, HOME: this.home };
    // No keychain, no SSH agent and no clipboard of the machine's own.
    for (const name of ["DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK", "DISPLAY", "WAYLAND_DISPLAY", "DOCKER_HOST"]) delete this.environment[name];
    this.environment["DBUS_SESSION_BUS_ADDRESS"] = process.env["BERTH_E2E_BUS"] ?? "unix:path=/nonexistent";
  }

  static async start(more: { keychain?: boolean } = {}): Promise<Rig> {
    if (!CHROMIUM) throw new Error("no Chromium: tests/prepare/machine.sh installs it");
    const rig = new Rig();
    if (more.keychain) rig.#keychain = await keychain(join(rig.home, "keys"), rig.environment);
    await rig.serve();
    rig.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    return rig;
  }

  /** Starts the devhost; ended and started again by tests that want to see it gone. */
  async serve(port = 0): Promise<void> {
    const devhost = spawn(join(programs, "berth-devhost"), ["--ui", join(root, "ui/dist"), "--port", String(port)], { env: this.environment, stdio: ["ignore", "pipe", "pipe"] });
    this.#devhost = devhost;
    this.address = await new Promise<string>((done, failed) => {
      let said = "";
      devhost.stderr?.on("data", (text: Buffer) => (said += String(text)));
      devhost.stdout?.once("data", (text: Buffer) => done(String(text).trim()));
      devhost.once("exit", (code) => failed(new Error(`the devhost ended with ${code}: ${said}`)));
    });
  }

  async page(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page & { problems: string[] }> {
    const context: BrowserContext = await this.browser.newContext({ viewport: { width: 1152, height: 720 }, reducedMotion: "reduce", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    // A refused style, script or connection shows here and nowhere else.
    const problems: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(this.address);
    return Object.assign(page, { problems });
  }

  /** Machines that SSH's configuration names, for who adds a host. */
  knowsMachine(...names: string[]): void {
    mkdirSync(join(this.home, ".ssh"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.home, ".ssh", "config"), `${names.map((name) => `Host ${name}\n  HostName 127.0.0.1\n`).join("")}Host *.lab\n`, { mode: 0o600 });
  }

  /** The command itself: what somebody else does at the same time. */
  berth(...words: string[]): { code: number | null; out: string; err: string } {
    const ran = spawnSync(join(programs, "berth"), words, { env: this.environment, encoding: "utf8", timeout: 60_000 });
    return { code: ran.status, out: ran.stdout, err: ran.stderr };
  }

  async stop(): Promise<void> {
    await this.browser?.close();
    this.#devhost?.kill();
    this.berth("agent", "stop", "--force");
    for (const child of this.#keychain) child.kill();
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Makes an instance on the practice host through the window, from wherever it is. */
export async function create(page: Page, options: { name?: string; database?: string } = {}): Promise<void> {
  const first = page.getByRole("button", { name: "Start practising" });
  const again = page.getByRole("button", { name: "New", exact: true });
  await first.or(again).first().click();
  const sheet = page.getByRole("dialog", { name: "New SQL Server instance" });
  await sheet.getByRole("button", { name: "Options" }).click();
  if (options.name) await sheet.getByLabel("Name", { exact: true }).fill(options.name);
  if (options.database) await sheet.getByLabel("Database", { exact: true }).fill(options.database);
  await sheet.getByRole("button", { name: "Create" }).click();
  await sheet.waitFor({ state: "detached" });
  // The string of another instance may still be there.
  if (options.name) await page.getByRole("heading", { name: options.name, exact: true }).waitFor({ timeout: 45_000 });
  await page.getByRole("region", { name: "Connection string" }).waitFor({ timeout: 45_000 });
}
