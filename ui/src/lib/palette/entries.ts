import { shortcut } from "../keys";
import { kept } from "../kept.svelte";
import { changeable } from "../instances/state";
import { nameOf } from "../live.svelte";
import type { Window } from "../window.svelte";
import { words } from "../words";

export interface Entry {
  id: string;
  group: string;
  title: string;
  hint?: string;
  keys?: string;
  icon: "copy" | "go" | "play" | "plus" | "stop" | "host" | "settings" | "remove";
  run: () => void;
}

/** Every command by name, what concerns the selected instance first. */
export function entries(w: Window, wanted = ""): Entry[] {
  const all: Entry[] = [];
  const instance = w.instance;
  const format = w.live.formats.find((f) => f.id === kept.format.value);
  if (instance) {
    const full = nameOf(instance);
    const group = instance.name;
    const hint = [w.database[full] ?? instance.database, w.login[full] ?? instance.login].filter(Boolean).join(", ");
    if (instance.credentials) {
      for (const f of w.live.formats) {
        const usual = f.id === format?.id;
        const entry: Entry = { id: `copy:${f.id}`, group, title: words.palette.copyAs(f.name), hint, icon: "copy", run: () => void w.copy(full, { format: f.id }) };
        if (usual) all.unshift({ ...entry, keys: shortcut("C") });
        else all.push(entry);
      }
      all.push({ id: "copy-password", group, title: words.connection.copyPassword, icon: "copy", run: () => void w.copy(full, { password: true }) });
    }
    if (instance.fresh) {
      if (instance.state === "running") {
        all.push({ id: "stop", group, title: words.instance.stop, icon: "stop", run: () => void w.stop(full) });
        all.push({ id: "restart", group, title: words.instance.restart, icon: "play", run: () => void w.restart(full) });
      } else {
        all.push({ id: "start", group, title: words.instance.start, icon: "play", run: () => void w.start(full) });
      }
      if (changeable(instance)) all.push({ id: "change", group, title: words.change.menu, icon: "settings", run: () => (w.sheet = { kind: "change", name: full }) });
      if (instance.state === "running")
        all.push({ id: "reset-password", group, title: words.reset.menu, icon: "settings", run: () => (w.sheet = { kind: "resetPassword", name: full }) });
      all.push({ id: "remove", group, title: words.instance.remove, keys: shortcut("⌫"), icon: "remove", run: () => (w.sheet = { kind: "removeInstance", name: full }) });
    }
    if (instance.state === "running" && instance.fresh)
      for (const tool of w.live.tools) all.push({ id: `open:${tool.id}`, group, title: words.palette.openIn(tool.name), icon: "go", run: () => void w.openIn(full, tool.id) });
    for (const [tab, title] of Object.entries(words.instance.tabs)) all.push({ id: `tab:${tab}`, group, title, icon: "go", run: () => (w.tab = tab) });
  }
  // Another instance in a format that was typed, without choosing the instance first.
  const typed = wanted.toLowerCase().split(/\s+/).filter((part) => part.length > 1);
  const meant = w.live.formats.filter((f) => typed.some((part) => partsOf(f.name).some((word) => word.startsWith(part)))).slice(0, 3);
  for (const other of w.live.instances.values()) {
    const full = nameOf(other);
    if (full === w.selected) continue;
    const hint = words.host.practiceName(other.host);
    all.push({ id: `show:${full}`, group: words.palette.others, title: words.palette.show(other.name), hint, icon: "go", run: () => w.show(full) });
    if (other.credentials)
      all.push({ id: `copy:${full}`, group: words.palette.others, title: words.palette.copyOther(other.name), hint: format?.name ?? hint, icon: "copy", run: () => void w.copy(full) });
    if (other.credentials)
      for (const f of meant)
        all.push({ id: `copy:${full}:${f.id}`, group: words.palette.others, title: words.palette.copyOtherAs(other.name, f.name), hint, icon: "copy", run: () => void w.copy(full, { format: f.id }) });
  }
  for (const live of w.live.hosts.values()) {
    const name = live.host.name;
    all.push({ id: `host:${name}`, group: words.palette.hosts, title: words.palette.show(words.host.practiceName(name)), icon: "host", run: () => w.showHost(name) });
    if (name === w.host && live.host.address.startsWith("ssh:") && live.host.os !== "linux") {
      const group = words.host.practiceName(name);
      all.push({ id: "prepare", group, title: words.prepare.menu, icon: "host", run: () => (w.sheet = { kind: "prepareHost", host: name }) });
      all.push({ id: "doctor", group, title: words.doctor.menu, icon: "host", run: () => (w.sheet = { kind: "doctor", host: name }) });
      all.push({ id: "unprepare", group, title: words.unprepare.menu, icon: "remove", run: () => (w.sheet = { kind: "unprepareHost", host: name }) });
    }
    if (name === w.host && live.host.os === "windows" && !live.host.is_practice)
      all.push({ id: "build-image", group: words.host.practiceName(name), title: words.images.build, icon: "host", run: () => (w.sheet = { kind: "buildImage", host: name }) });
    for (const found of live.found ?? [])
      all.push({ id: `adopt:${found.container}`, group: words.palette.hosts, title: words.adopt.title(found.name), hint: words.host.practiceName(name), icon: "plus", run: () => (w.sheet = { kind: "adopt", host: name, container: found.container }) });
  }
  const app = words.palette.app;
  all.push(
    { id: "new", group: app, title: words.palette.newInstance, keys: shortcut("N"), icon: "plus", run: () => (w.sheet = w.host ? { kind: "new", host: w.host } : { kind: "new" }) },
    { id: "add-host", group: app, title: words.palette.addHost, icon: "host", run: () => (w.sheet = { kind: "addHost" }) },
    { id: "data", group: app, title: words.palette.data, icon: "go", run: () => (w.sheet = { kind: "data" }) },
    { id: "activity", group: app, title: words.palette.activity, icon: "go", run: () => (w.sheet = { kind: "activity" }) },
    { id: "refresh", group: app, title: words.palette.refresh, keys: shortcut("R"), icon: "go", run: () => w.live.refresh() },
    { id: "settings", group: app, title: words.palette.settings, keys: shortcut(","), icon: "settings", run: () => (w.sheet = { kind: "settings" }) },
  );
  return all;
}

const SHOWN = 60;

/** Those that hold every word typed, in their groups; better ones first. */
export function find(all: Entry[], wanted: string): [string, Entry[]][] {
  const typed = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = all
    .map((entry, at) => ({ entry, at, score: score(entry, typed) }))
    .filter((e) => e.score > 0)
    .sort((a, b) => b.score - a.score || a.at - b.at)
    .slice(0, SHOWN);
  const groups = new Map<string, Entry[]>();
  for (const { entry } of scored) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
  return [...groups];
}

const partsOf = (text: string) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u);

function score(entry: Entry, typed: string[]): number {
  if (typed.length === 0) return 1;
  const title = entry.title.toLowerCase();
  const own = partsOf(title);
  let total = 0;
  for (const part of typed) {
    if (own.some((w) => w.startsWith(part))) total += 3;
    else if (title.includes(part)) total += 2;
    else if (entry.group.toLowerCase().includes(part) || entry.hint?.toLowerCase().includes(part)) total += 1;
    else return 0;
  }
  return total;
}
