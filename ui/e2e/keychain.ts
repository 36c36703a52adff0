/** A keychain on a bus of its own, unlocked as a sign-in leaves one: gnome-keyring as the Secret Service. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const has = (program: string) => ["/usr/bin", "/bin", "/usr/local/bin"].some((folder) => existsSync(join(folder, program)));

/** Programs that it takes and that are not here. */
export const lacking = () => ["dbus-daemon", "dbus-send", "gnome-keyring-daemon"].filter((program) => !has(program));

/** Starts a program and waits for what it says on one of its outputs. */
export function say(child: ChildProcess, from: number, what: RegExp): Promise<string> {
  return new Promise((heard, failed) => {
    let text = "";
    child.stdio[from]?.on("data", (piece: Buffer) => {
      text += String(piece);
      const found = what.exec(text);
      if (found) heard(found[1] ?? "");
    });
    child.once("error", failed);
    child.once("exit", (code) => failed(new Error(`${child.spawnfile} ended with ${code}: ${text}`)));
  });
}

/** Waits for something to be so; what went wrong the last time is in the error. */
export async function until(what: string, is: () => boolean | Promise<boolean>, ms = 30_000, pause = 100): Promise<void> {
  const end = Date.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      if (await is()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not come within ${ms} ms`, { cause: last });
    await new Promise((done) => setTimeout(done, pause));
  }
}

/** Starts it in a folder of its own and puts the bus's address into the environment. Whoever calls ends the programs. */
export async function keychain(folder: string, environment: NodeJS.ProcessEnv): Promise<ChildProcess[]> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Settings of its own: the usual ones start the desktop's services for whoever asks for one.
  writeFileSync(
    join(folder, "bus.conf"),
    `<busconfig><type>session</type><listen>unix:path=${join(folder, "bus")}</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/><allow own="*"/><allow receive_sender="*"/></policy></busconfig>`,
  );
  const bus = spawn("dbus-daemon", ["--nofork", "--nopidfile", "--print-address=1", `--config-file=${join(folder, "bus.conf")}`], { env: environment, stdio: ["ignore", "pipe", "ignore"] });
  environment["DBUS_SESSION_BUS_ADDRESS"] = await say(bus, 1, /(unix:\S+)\n/);
  const env = { ...environment, XDG_DATA_HOME: join(folder, "share"), XDG_RUNTIME_DIR: folder };
  const keyring = spawn("gnome-keyring-daemon", ["--foreground", "--unlock", "--components=secrets", `--control-directory=${join(folder, "keyring")}`], { env, stdio: ["pipe", "pipe", "ignore"] });
  keyring.stdin?.end("login keyring");
  await until("the keychain", () => {
    const asked = spawnSync("dbus-send", ["--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets/collection/login", "org.freedesktop.DBus.Properties.Get", "string:org.freedesktop.Secret.Collection", "string:Locked"], {
      env: environment,
      encoding: "utf8",
      timeout: 5000,
    });
    return asked.stdout.includes("boolean false");
  });
  return [keyring, bus];
}
