/**
 * The one seam between the window and Berth: the command table, by name.
 *
 * A page may send secrets, beside a request. It never gets one: what it asks for is copied or shown by Rust.
 */
import type { Commands, ErrorView } from "./bindings";

export type * from "./bindings";
export type Name = keyof Commands;

/** What may be left out: what may be null, and the switches and lists that are off and empty then. */
type Spare<V> = null extends V ? true : V extends boolean | unknown[] ? true : false;
type Loose<T> = { [K in keyof T as Spare<T[K]> extends false ? K : never]: T[K] } & {
  [K in keyof T as Spare<T[K]> extends false ? never : K]?: T[K] | undefined;
};
export type Request<C extends Name> = Loose<Commands[C]["request"]>;
export type Item<C extends Name> = Commands[C]["item"];
export type Response<C extends Name> = Commands[C]["response"];

export interface Options<C extends Name> {
  /** Beside the request, never in it: a host's password, for instance. */
  secrets?: Record<string, string>;
  /** What comes in between. */
  onItem?: (item: Item<C>) => void;
  /** Ends the call; an operation that it started goes on. */
  signal?: AbortSignal;
}

/** What only the app can do: the browser's twin has none of it. */
export interface Native {
  /** Shows a connection string in a panel of the system, for some seconds; the page never has it. */
  show(wish: Request<"connection.show">): Promise<void>;
  /** Opens an instance in another program; answers what is to be pasted there, where that is left to do. */
  handOver(tool: string, wish: Request<"connection.show">): Promise<string | null>;
  /** Has Berth's background process start at login, or no longer; answers whether it does, and null where the system has no such thing. */
  atLogin(on?: boolean): Promise<boolean | null>;
  /** Tells what was chosen in a menu, by the palette's id; answers how to stop listening. */
  onChosen(listener: (id: string) => void): () => void;
}

export interface Backend {
  /** Whether this is the app itself, or its twin in a browser that has no clipboard, menus and native panels. */
  readonly kind: "app" | "web";
  readonly native?: Native;
  call<C extends Name>(command: C, request: Request<C>, options?: Options<C>): Promise<Response<C>>;
}

/** Why a command failed: one sentence, what led to it, and what to do. */
export class BerthError extends Error {
  readonly code: string;
  readonly causes: string[];
  readonly hint: string | null;
  readonly details: Record<string, string>;

  constructor(view: ErrorView) {
    super(view.message);
    this.name = "BerthError";
    this.code = view.code;
    this.causes = view.causes;
    this.hint = view.hint;
    this.details = Object.fromEntries(view.details);
  }

  static of(error: unknown): BerthError {
    if (error instanceof BerthError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new BerthError({ code: "failed", message, causes: [], hint: null, details: [] });
  }

  view(): ErrorView {
    return { code: this.code, message: this.message, causes: this.causes, hint: this.hint, details: Object.entries(this.details) };
  }
}

export const cancelled = () =>
  new BerthError({ code: "cancelled", message: "Cancelled", causes: [], hint: null, details: [] });
