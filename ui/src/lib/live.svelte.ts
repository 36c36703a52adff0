import { SvelteMap } from "svelte/reactivity";
import { BerthError, type Backend, type CarrierView, type Change, type FormatView, type HostLive, type InstanceView, type Name, type OperationView, type Request, type ToolView } from "./backend";

/** What began an operation, to begin it again. */
export interface Begun {
  command: Name;
  request: object;
  /** What it will do, where it said so beforehand. */
  steps: string[];
}

export const nameOf = (i: { host: string; name: string }) => `${i.host}/${i.name}`;

/** Everything that the window shows, kept current by one stream of changes; nothing is polled. */
export class Live {
  readonly hosts = new SvelteMap<string, HostLive>();
  readonly instances = new SvelteMap<string, InstanceView>();
  readonly operations = new SvelteMap<string, OperationView>();
  readonly begun = new SvelteMap<string, Begun>();
  /** Since when each instance runs, as far as somebody looked. */
  readonly startedAt = new SvelteMap<string, string>();
  formats: FormatView[] = $state([]);
  carriers: CarrierView[] = $state([]);
  /** Programs that an instance can be opened in. */
  tools: ToolView[] = $state([]);
  /** Whether the first picture is there. */
  ready = $state(false);
  /** Why the stream is broken, while it is. */
  away: BerthError | null = $state(null);
  #ended = new AbortController();
  #watching: AbortController | null = null;

  constructor(readonly backend: Backend) {}

  /** Watches until [`end`]; begins again after a break. */
  async run(): Promise<void> {
    let pause = 500;
    while (!this.#ended.signal.aborted) {
      const watching = (this.#watching = new AbortController());
      this.#ended.signal.addEventListener("abort", () => watching.abort(), { once: true });
      try {
        await this.backend.call("berth.watch", {}, {
          signal: watching.signal,
          onItem: (change) => {
            pause = 500;
            this.take(change);
          },
        });
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        // Asked anew, not broken.
        if (watching.signal.aborted) continue;
        this.away = BerthError.of(error);
        this.ready = true;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 10_000);
    }
  }

  /** Asks every host anew. Nobody has to, and everybody wants to be able to. */
  refresh(): void {
    this.#watching?.abort();
  }

  end(): void {
    this.#ended.abort();
  }

  take(change: Change): void {
    switch (change.kind) {
      case "snapshot":
        replace(this.hosts, change.hosts, (h) => h.host.name);
        replace(this.instances, change.instances, (i) => i.id);
        replace(this.operations, change.operations, (o) => o.id);
        this.away = null;
        this.ready = true;
        // They never change while an agent lives; without them the usual one is written all the same.
        this.#loadFormats().catch(() => {});
        break;
      case "host":
        this.hosts.set(change.host.host.name, change.host);
        break;
      case "host_gone":
        this.hosts.delete(change.name);
        break;
      case "instances":
        for (const instance of change.instances) this.instances.set(instance.id, instance);
        break;
      case "instances_gone":
        for (const id of change.ids) this.instances.delete(id);
        break;
      case "operation":
        this.operations.set(change.operation.id, change.operation);
        break;
    }
  }

  async #loadFormats(): Promise<void> {
    this.formats = await this.backend.call("connection.formats", {});
    this.carriers = await this.backend.call("connection.carriers", {});
    this.tools = await this.backend.call("connection.tools", {});
  }

  /** Begins an operation and remembers how, so that it can be begun again. */
  async begin<C extends "instance.up" | "instance.start" | "instance.stop" | "instance.restart" | "instance.remove" | "instance.set" | "instance.reset_password" | "host.prepare" | "host.unprepare" | "image.build">(
    command: C,
    request: Request<C>,
    steps: string[] = [],
  ): Promise<string> {
    const { operation } = await this.backend.call(command, request);
    this.begun.set(operation, { command, request, steps });
    return operation;
  }

  /** Begins one again that failed or was cancelled: what is done already is not done twice. */
  async again(id: string): Promise<string> {
    const { operation } = await this.backend.call("operation.retry", { operation: id });
    const begun = this.begun.get(id);
    if (begun) this.begun.set(operation, begun);
    return operation;
  }

  byName(full: string | null): InstanceView | undefined {
    if (full === null) return undefined;
    for (const instance of this.instances.values()) if (nameOf(instance) === full) return instance;
    return undefined;
  }

  /** The operation that matters for an instance now: the one under way, else the latest. */
  operationOf(full: string): OperationView | undefined {
    let found: OperationView | undefined;
    for (const operation of this.operations.values()) {
      if (operation.subject !== full) continue;
      if (operation.state === "running") return operation;
      if (!found || operation.started_at >= found.started_at) found = operation;
    }
    return found;
  }

  readonly underWay = $derived([...this.operations.values()].filter((o) => o.state === "running"));
}

function replace<T>(map: SvelteMap<string, T>, items: T[], key: (item: T) => string): void {
  const keys = new Set(items.map(key));
  for (const old of [...map.keys()]) if (!keys.has(old)) map.delete(old);
  for (const item of items) map.set(key(item), item);
}
