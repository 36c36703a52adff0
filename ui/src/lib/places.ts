/**
 * Words from Rust name what to do in the terms of the command: `berth start NAME`, `--port`. Each of those has its place
 * in the window: a thing that is done with one click, or the label of a field. This is the one list of them.
 */
import type { Request } from "./backend";
import { nameOf } from "./live.svelte";
import type { Window } from "./window.svelte";
import { words } from "./words";

/** A part of what Rust said. */
export type Piece =
  | { kind: "text"; text: string }
  | { kind: "literal"; text: string }
  /** A label in the window, with the value that the option had. */
  | { kind: "label"; text: string; value: string }
  | { kind: "action"; text: string; run: (w: Window) => void };

/** What a command does with a word after it, with its options; nothing where the window has no such thing to open. */
type Run = (w: Window, subject: string, options: Map<string, string>) => (() => void) | undefined;
interface Place {
  words: string;
  run?: Run;
}

const instance =
  (act: (w: Window, full: string) => void): Run =>
  (w, subject) => {
    const full = named(w, subject);
    return full === undefined ? undefined : () => act(w, full);
  };
const host =
  (act: (w: Window, name: string, options: Map<string, string>) => void): Run =>
  (w, subject, options) => {
    const name = [options.get("--host"), subject, w.host].find((one) => one && w.live.hosts.has(one));
    return name ? () => act(w, name, options) : undefined;
  };
/** Shows an instance, and closes what is in front of it. */
const tab = (tab: string) =>
  instance((w, full) => {
    w.sheet = null;
    w.show(full);
    w.tab = tab;
  });
const page = host((w, name) => {
  w.sheet = null;
  w.showHost(name);
});

export const COMMANDS: Record<string, Place> = {
  list: {
    words: words.sidebar.all,
    run: (w) => () => {
      w.sheet = null;
      w.showHost(null);
    },
  },
  up: { words: words.palette.newInstance, run: (w, subject, options) => () => (w.sheet = { kind: "new", wish: wish(w, subject, options) }) },
  start: { words: words.instance.start, run: instance((w, full) => void w.start(full)) },
  remove: { words: words.instance.remove, run: instance((w, full) => (w.sheet = { kind: "removeInstance", name: full })) },
  logs: { words: words.instance.tabs.logs, run: tab("logs") },
  "reset-password": { words: words.reset.menu, run: instance((w, full) => (w.sheet = { kind: "resetPassword", name: full })) },
  adopt: { words: words.adopt.menu, run: adopt },
  connection: { words: words.connection.copy, run: instance((w, full) => void w.copy(full)) },
  "database list": { words: words.instance.tabs.databases, run: tab("databases") },
  "database create": { words: words.databases.create, run: tab("databases") },
  "data list": { words: words.data.name, run: (w) => () => (w.sheet = { kind: "data" }) },
  "host add": { words: words.palette.addHost, run: (w) => () => (w.sheet = { kind: "addHost" }) },
  "host list": { words: words.sidebar.hosts },
  "host show": { words: words.problem.details, run: page },
  "host check": { words: words.host.check, run: page },
  "host use": { words: words.host.makeDefault, run: page },
  "host remove": { words: words.host.remove, run: host((w, name) => (w.sheet = { kind: "removeHost", name })) },
  "host prepare": { words: words.prepare.menu, run: host((w, name, options) => (w.sheet = { kind: "prepareHost", host: name, renew: options.has("--new-certificates") })) },
  "host doctor": { words: words.doctor.menu, run: host((w, name) => (w.sheet = { kind: "doctor", host: name })) },
  "image list": { words: words.images.name, run: page },
  "image build": { words: words.images.build, run: host((w, name) => (w.sheet = { kind: "buildImage", host: name })) },
  "image rebuild": { words: words.images.build, run: host((w, name) => (w.sheet = { kind: "buildImage", host: name })) },
  "agent stop": { words: words.places.quit },
};

export const OPTIONS: Record<string, string> = {
  "--port": words.create.port,
  "--memory": words.create.memory,
  "--name": words.create.name,
  "--version": words.create.version,
  "--edition": words.create.edition,
  "--host": words.create.host,
  "--database": words.create.database,
  "--data keep": words.places.keep,
  "--data throwaway": words.create.throwaway,
  "--data delete": words.places.deleteData,
  "--accept-eula": words.places.accept,
  "--password-file": words.adopt.password,
  "--identity": words.addHost.keyFile,
  "--password-stdin": words.addHost.password,
  "--passphrase-stdin": words.addHost.passphrase,
  "--trust-host-key": words.palette.addHost,
  "--ca": words.addHost.ca,
  "--cert": words.addHost.cert,
  "--key": words.addHost.certKey,
  "--forget": words.host.removeButton,
  "--format": words.connection.format,
  "--carrier": words.connection.carrier,
  "--without": words.prepare.leaveOut,
  "--force": words.places.quit,
};
/** Whose value stands for nothing in the window: a button, a choice, a file of the command's own. */
const VALUELESS = new Set(["--data", "--accept-eula", "--password-file", "--trust-host-key", "--force", "--forget", "--host"]);

/** Takes what Rust said apart: between backticks are literals, and some of those have their place in the window. */
export function pieces(w: Window, text: string): Piece[] {
  return text
    .split("`")
    .map((part, at): Piece => (at % 2 === 1 ? literal(w, part) : { kind: "text", text: part.replace(/(\w)'(?=\w|\s|$)/g, "$1’") }))
    .filter((piece) => piece.text !== "");
}

/** Whether the window has a place for what a literal names; `undefined` where it names nothing of the command. */
export function known(text: string): boolean | undefined {
  if (text.startsWith("berth ")) return placeOf(text) !== undefined;
  if (/^--[a-z]/.test(text)) return optionOf(text) !== undefined;
  return undefined;
}

function literal(w: Window, text: string): Piece {
  const place = placeOf(text);
  if (place) {
    const run = place.run?.(w, place.subject, place.options);
    return run ? { kind: "action", text: place.words, run } : { kind: "label", text: place.words, value: "" };
  }
  return optionOf(text) ?? { kind: "literal", text };
}

function placeOf(text: string): (Place & { subject: string; options: Map<string, string> }) | undefined {
  const said = text.split(/\s+/);
  if (said[0] !== "berth") return undefined;
  const [two, one] = [said.slice(1, 3).join(" "), said[1] ?? ""];
  const place = COMMANDS[two] ?? COMMANDS[one];
  if (!place) return undefined;
  const rest = said.slice(COMMANDS[two] ? 3 : 2);
  const options = new Map<string, string>();
  let subject = "";
  for (let at = 0; at < rest.length; at++) {
    const part = rest[at] ?? "";
    const next = rest[at + 1];
    if (part.startsWith("--")) {
      const value = next !== undefined && !next.startsWith("--") ? next : "";
      options.set(part, value);
      if (value) at++;
    } else subject ||= part;
  }
  return { ...place, subject, options };
}

function optionOf(text: string): Piece | undefined {
  const [option = "", ...rest] = text.split(/\s+/);
  const words = OPTIONS[text] ?? OPTIONS[option];
  if (words === undefined) return undefined;
  return { kind: "label", text: words, value: VALUELESS.has(option) ? "" : rest.join(" ") };
}

/** `NAME` or `HOST/NAME`; of several that are called so, the one on the host that is looked at. */
function named(w: Window, subject: string): string | undefined {
  if (w.live.byName(subject)) return subject;
  const all = [...w.live.instances.values()].filter((i) => i.name === subject);
  const here = w.selected?.slice(0, w.selected.indexOf("/")) ?? w.host;
  const found = all.find((i) => i.host === here) ?? (all.length === 1 ? all[0] : undefined);
  return found && nameOf(found);
}

function adopt(w: Window, subject: string): (() => void) | undefined {
  for (const live of w.live.hosts.values())
    for (const found of live.found ?? [])
      if ([found.name, found.container, `${live.host.name}/${found.name}`].includes(subject))
        return () => (w.sheet = { kind: "adopt", host: live.host.name, container: found.container });
  return undefined;
}

function wish(w: Window, subject: string, options: Map<string, string>): Request<"instance.up"> {
  const at = subject.indexOf("/");
  const host = options.get("--host") ?? (at > 0 ? subject.slice(0, at) : undefined) ?? w.host ?? w.selected?.slice(0, w.selected.indexOf("/"));
  const name = at > 0 ? subject.slice(at + 1) : subject;
  const port = Number(options.get("--port"));
  return {
    ...(name && name !== "NAME" ? { name } : {}),
    ...(host !== undefined && w.live.hosts.has(host) ? { host } : {}),
    ...(options.get("--memory") ? { memory: options.get("--memory") } : {}),
    ...(options.get("--version") ? { version: options.get("--version") } : {}),
    ...(port ? { port } : {}),
  } as Request<"instance.up">;
}
