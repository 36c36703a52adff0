import { readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend, HostLive, InstanceView } from "./backend";
import { COMMANDS, OPTIONS, known, pieces } from "./places";
import { Window } from "./window.svelte";

const crates = resolve(import.meta.dirname, "../../../src-tauri/crates");
/** What Rust says beside the command itself: whatever of it names the command can reach the window. */
const SPEAKERS = ["core", "remote", "engine", "sql", "store", "api", "agent"];
/** Named by what only the command asks for; the window has no way there. */
const OF_THE_COMMAND_ALONE = [
  /^--(copy|lease|init|media|sha256|variable|timeout|jump|parts|formats|carriers)\b/,
  /^berth (run|agent install|agent status|demo|practice)\b/,
  // Of Docker's own daemon.
  /^--tls/,
];

function* rust(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* rust(path);
    else if (entry.name.endsWith(".rs") && entry.name !== "tests.rs") yield path;
  }
}

it("whatever Rust says to do in the command's terms has its place in the window", () => {
  const lost: string[] = [];
  let seen = 0;
  for (const crate of SPEAKERS)
    for (const path of rust(join(crates, crate, "src"))) {
      const [code = ""] = readFileSync(path, "utf8").split(/^#\[cfg\(test\)\]\nmod tests/m);
      for (const line of code.split("\n")) {
        if (/^\s*\/\//.test(line)) continue;
        for (const [, literal = ""] of line.matchAll(/`((?:berth |--)[^`]+)`/g)) {
          seen++;
          if (known(literal) === false && !OF_THE_COMMAND_ALONE.some((own) => own.test(literal))) lost.push(`${path.slice(crates.length + 1)}: ${literal}`);
        }
      }
    }
  expect(seen, "the sources are read").toBeGreaterThan(80);
  expect(lost, "name its place in ui/src/lib/places.ts, or say it otherwise: who sits before the window cannot type it").toEqual([]);
});

describe("in a window with instances", () => {
  let w: Window;
  const said = (text: string) =>
    pieces(w, text)
      .map((piece) => (piece.kind === "action" ? `[${piece.text}]` : piece.kind === "label" ? `“${piece.text}${piece.value ? ` ${piece.value}` : ""}”` : piece.text))
      .join("");
  const press = (text: string) => {
    const action = pieces(w, text).find((piece) => piece.kind === "action");
    if (action?.kind !== "action") throw new Error(`nothing to press in: ${said(text)}`);
    action.run(w);
  };

  beforeEach(() => {
    w = new Window({ kind: "web", call: () => Promise.resolve([]) } as unknown as Backend);
    const host = (name: string, found: object[] = []) => ({ host: { name, is_practice: name === "practice" }, state: "connected", found }) as unknown as HostLive;
    const instance = (host: string, name: string) => ({ id: `${host}-${name}`, host, name, state: "stopped", fresh: true }) as InstanceView;
    w.live.take({
      kind: "snapshot",
      hosts: [host("practice"), host("win", [{ container: "c0ffee", name: "old-sql" }])],
      instances: [instance("win", "orders"), instance("practice", "orders"), instance("win", "reports")],
      operations: [],
    });
  });

  it("a command is a click, an option the label of its field", () => {
    expect(said("Start it with `berth start reports`")).toBe("Start it with [Start]");
    expect(said("Take another with `--port 14331`, or leave `--port` out")).toBe("Take another with “Port 14331”, or leave “Port” out");
    expect(said("`berth host doctor win` says what is wrong; `berth host prepare win` goes on from here")).toBe("[Find what is wrong…] says what is wrong; [Prepare this machine…] goes on from here");
    expect(said("`docker info` on `win` shows it, with the engine's own words")).toBe("docker info on win shows it, with the engine’s own words");
    expect(said("`berth start gone` does it"), "what is not there cannot be pressed").toBe("“Start” does it");
  });

  it("no option and no command is left as it was typed", () => {
    for (const command of Object.keys(COMMANDS)) expect(said(`\`berth ${command} x\``), command).not.toMatch(/berth |--/);
    for (const option of Object.keys(OPTIONS)) expect(said(`\`${option}${option.includes(" ") ? "" : " VALUE"}\``), option).not.toMatch(/--/);
  });

  it("a click does what the command would have done", () => {
    press("`berth remove reports` first");
    expect(w.sheet).toEqual({ kind: "removeInstance", name: "win/reports" });
    press("`berth logs reports` shows why");
    expect([w.sheet, w.selected, w.tab]).toEqual([null, "win/reports", "logs"]);
    press("`berth up reports --memory 4g --port 14400` takes it up again");
    expect(w.sheet).toEqual({ kind: "new", wish: { name: "reports", host: "win", memory: "4g", port: 14400 } });
    press("`berth adopt old-sql --password-file FILE`");
    expect(w.sheet).toEqual({ kind: "adopt", host: "win", container: "c0ffee" });
    press("`berth host prepare win --new-certificates` makes new ones");
    expect(w.sheet, "what the command's option asks for is asked for by the click too").toEqual({ kind: "prepareHost", host: "win", renew: true });
    press("`berth image list --host win` shows what is there");
    expect([w.sheet, w.host]).toEqual([null, "win"]);
  });

  it("of two that are called so, the one that is looked at is meant", () => {
    expect(said("`berth start orders`"), "nobody knows which").toBe("“Start”");
    w.selected = "practice/orders";
    const start = vi.spyOn(w, "start").mockResolvedValue();
    press("`berth start orders`");
    expect(start).toHaveBeenCalledWith("practice/orders");
  });
});
