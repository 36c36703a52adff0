import type { ErrorView, HostLive, InstanceView, OperationView, UnknownKey } from "../backend";
import { words } from "../words";

export type Tone = "good" | "warn" | "busy" | "bad" | "off";

export interface Shown {
  /** For the list: `running`. */
  word: string;
  tone: Tone;
}

/** What an instance's row says: an operation under way first, then what its host last said. */
export function stateOf(instance: InstanceView | undefined, operation: OperationView | undefined, host: HostLive | undefined): Shown {
  if (operation?.state === "running") {
    const word = { stop: words.state["stopping"], remove: words.state["removing"] }[operation.kind] ?? words.state["making"];
    return { word: word ?? "", tone: "busy" };
  }
  if (!instance) return { word: words.state["failed"] ?? "", tone: "bad" };
  if (instance.unfinished) return { word: words.state["unfinished"] ?? "", tone: "warn" };
  if (!instance.fresh && host?.state === "connecting") return { word: words.host.state["connecting"] ?? "", tone: "off" };
  const tones: Record<string, Tone> = { running: "good", failed: "bad" };
  return { word: words.state[instance.state] ?? instance.state, tone: tones[instance.state] ?? "off" };
}

/** Whether Berth could prepare it: Windows behind SSH, or nobody knows yet. */
export const preparable = (host: HostLive) => host.host.address.startsWith("ssh:") && host.host.os !== "linux";

/** A machine that is reached and has no container engine yet. */
export const bareHost = (host: HostLive) => preparable(host) && host.host.warning !== null && host.host.warning !== undefined;

/** What an error says of a server's key that nobody has decided upon; nothing where only known keys are let in. */
export function unknownKey(error: ErrorView | null): UnknownKey | null {
  const { host, algorithm = "", fingerprint, strict } = Object.fromEntries(error?.details ?? []);
  return error?.code === "host_key_unknown" && host && fingerprint && !strict ? { host, algorithm, fingerprint } : null;
}

/** What lets that key in, and it alone. */
export const trustOf = (key: UnknownKey) => `${key.host}=${key.fingerprint}`;

export function hostTone(host: HostLive): Tone {
  if (bareHost(host)) return "off";
  const tones: Record<string, Tone> = { connected: "good", connecting: "busy", unreachable: "bad" };
  return tones[host.state] ?? "off";
}

export const editionName = (edition: string) => (edition ? edition[0]!.toUpperCase() + edition.slice(1) : "");

/** Labels belong to a container for its life: to change them it is made anew around its data, which must be in a volume. */
export const changeable = (instance: InstanceView) => instance.data === "keep" && !instance.unfinished && !instance.adopted;
