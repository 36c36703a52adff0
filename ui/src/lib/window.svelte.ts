import { getContext, setContext } from "svelte";
import { BerthError, type Backend, type Request } from "./backend";
import { kept } from "./kept.svelte";
import { Live } from "./live.svelte";
import { words } from "./words";

export type Sheet =
  | { kind: "new"; host?: string; wish?: Request<"instance.up">; takesUp?: boolean }
  | { kind: "addHost"; address?: string }
  | { kind: "settings" }
  | { kind: "activity" }
  | { kind: "data" }
  | { kind: "adopt"; host: string; container: string }
  | { kind: "change"; name: string }
  | { kind: "resetPassword"; name: string }
  | { kind: "removeInstance"; name: string }
  | { kind: "removeHost"; name: string }
  | { kind: "prepareHost"; host: string; renew?: boolean }
  | { kind: "doctor"; host: string }
  | { kind: "unprepareHost"; host: string }
  | { kind: "buildImage"; host: string }
  | { kind: "clipboard"; command: string }
  | { kind: "openIn"; name: string; tool: string; paste?: string }
  | null;

export interface Toast {
  id: number;
  text: string;
  tone: "good" | "bad";
  error: BerthError | null;
}

/** What the window looks at, beside what there is. */
export class Window {
  readonly live: Live;
  /** A host's name, or null for all instances. */
  host: string | null = $state(null);
  /** `HOST/NAME` of the instance that is shown. */
  selected: string | null = $state(null);
  filter = $state("");
  sheet: Sheet = $state(null);
  palette = $state(false);
  guide = $state(false);
  tab = $state("overview");
  toasts: Toast[] = $state([]);
  /** A database or login other than the usual one, by instance. */
  database: Record<string, string> = $state({});
  login: Record<string, string> = $state({});
  /** Ended operations whose report was put away. */
  dismissed: Record<string, boolean> = $state({});
  /** Counts deletions of kept data, which no stream tells of. */
  dataDeleted = $state(0);
  #nextToast = 1;

  constructor(readonly backend: Backend) {
    this.live = new Live(backend);
  }

  readonly instance = $derived.by(() => this.live.byName(this.selected));
  readonly firstRun = $derived.by(
    () =>
      this.live.ready &&
      !this.live.away &&
      !kept.started.value &&
      this.live.instances.size === 0 &&
      this.live.operations.size === 0 &&
      [...this.live.hosts.values()].every((h) => h.host.is_practice),
  );

  show(full: string): void {
    if (this.selected !== full) this.tab = "overview";
    this.selected = full;
    const host = full.slice(0, full.indexOf("/"));
    if (this.host !== null && this.host !== host) this.host = null;
  }

  showHost(host: string | null): void {
    this.host = host;
    this.selected = null;
  }

  say(text: string): void {
    this.#toast({ text, tone: "good", error: null }, 4000);
  }

  problem(error: unknown): void {
    const e = BerthError.of(error);
    if (e.code === "cancelled") return;
    this.#toast({ text: e.message, tone: "bad", error: e }, 12_000);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((t) => t.id !== id);
  }

  #toast(toast: Omit<Toast, "id">, stays: number): void {
    const id = this.#nextToast++;
    this.toasts = [...this.toasts.slice(-2), { id, ...toast }];
    setTimeout(() => this.dismiss(id), stays);
  }

  /** Runs something for the user; what goes wrong is said. */
  async try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.problem(error);
      return undefined;
    }
  }

  /** Has Rust put a string, or the password alone, on the clipboard. The page never sees either. */
  async copy(full: string, what: { format?: string; password?: boolean } = {}): Promise<boolean> {
    const wish = { ...this.wish(full, what.format), ...(what.password ? { carrier: null } : {}) };
    const { format, carrier, database, login } = wish;
    try {
      await this.backend.call("connection.copy", { ...wish, password_only: what.password ?? false });
      this.say(what.password ? words.connection.copiedPassword : words.connection.copied);
      return true;
    } catch (error) {
      const e = BerthError.of(error);
      if (e.details["clipboard"] === "none") {
        const parts = ["berth connection", full, `--format ${format}`];
        if (carrier) parts.push(`--carrier ${carrier}`);
        if (database) parts.push(`--database ${database}`);
        if (login) parts.push(`--login ${login}`);
        this.sheet = { kind: "clipboard", command: parts.join(" ") };
      } else {
        this.problem(e);
      }
      return false;
    }
  }

  /** What a string is asked for with: the choices that were made in the panel. */
  wish(full: string, format = kept.format.value) {
    return { name: full, format, carrier: kept.carrier.value || null, database: this.database[full], login: this.login[full] };
  }

  /** Has the app show the string in a panel of the system, which no page can read. */
  async reveal(full: string): Promise<void> {
    await this.try(async () => this.backend.native?.show(this.wish(full)));
  }

  /** Opens an instance in another program; what the app cannot do by itself is said on a sheet. */
  async openIn(full: string, tool: string): Promise<void> {
    const { native } = this.backend;
    if (!native) {
      this.sheet = { kind: "openIn", name: full, tool };
      return;
    }
    await this.try(async () => {
      const left = await native.handOver(tool, { ...this.wish(full), carrier: null });
      if (left !== null) this.sheet = { kind: "openIn", name: full, tool, paste: left };
      else await this.copy(full, { password: true });
    });
  }

  async start(full: string): Promise<void> {
    await this.try(() => this.live.begin("instance.start", { name: full }));
  }
  async stop(full: string): Promise<void> {
    await this.try(() => this.live.begin("instance.stop", { name: full }));
  }
  async restart(full: string): Promise<void> {
    await this.try(() => this.live.begin("instance.restart", { name: full }));
  }
  async finish(full: string): Promise<void> {
    await this.try(() => this.live.begin("instance.up", { name: full, accept_eula: true }));
  }
}

/** What a component finds its window under. */
export const KEY = Symbol("window");
export const provide = (window: Window) => setContext(KEY, window);
export const useWindow = () => getContext<Window>(KEY);
