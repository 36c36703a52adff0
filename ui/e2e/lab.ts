/** A machine of its own: the practice host as another program, reached as any other host is. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programs, type Rig } from "./rig";

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), "berth-lab-"));
  port = "";
  fingerprint = "";
  password = "";
  #child: ChildProcess | undefined;

  /** A bare machine is no container host yet. */
  constructor(
    readonly rig: Rig,
    readonly machine = "",
  ) {}

  /** Starts it; again on the same port, after it was ended. */
  async serve(): Promise<void> {
    const words = ["practice", "serve", "--dir", this.folder, ...(this.machine ? ["--machine", this.machine] : []), ...(this.port ? ["--ssh-port", this.port] : [])];
    const child = spawn(join(programs, "berth"), words, { env: this.rig.environment, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let said = "";
    await new Promise<void>((ready, failed) => {
      const hear = (text: Buffer) => {
        said += String(text);
        if (said.includes("Ctrl-C")) ready();
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
      child.once("exit", (code) => failed(new Error(`the lab ended with ${code}: ${said}`)));
    });
    this.port = /-p (\d+)/.exec(said)?.[1] ?? "";
    this.fingerprint = /SHA256:\S+/.exec(said)?.[0] ?? "";
    this.password = /password\s+(\S+)/.exec(said)?.[1] ?? "";
  }

  /** As a machine that loses its power. */
  async end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
