/** What the window remembers for its user: choices, never anything of a connection string. */
function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

export class Kept<T> {
  #value: T = $state()!;
  constructor(
    readonly key: string,
    otherwise: T,
  ) {
    const kept = read(key);
    this.#value = typeof kept === typeof otherwise && kept !== null ? (kept as T) : otherwise;
  }
  get value(): T {
    return this.#value;
  }
  set value(value: T) {
    this.#value = value;
    try {
      localStorage.setItem(this.key, JSON.stringify(value));
    } catch {
      // A full or forbidden store: the choice holds until the window closes.
    }
  }
}

export type Theme = "system" | "light" | "dark";
export const kept = {
  format: new Kept<string>("berth.format", "adonet"),
  carrier: new Kept<string>("berth.carrier", ""),
  theme: new Kept<Theme>("berth.theme", "system"),
  order: new Kept<"name" | "newest">("berth.order", "name"),
  started: new Kept<boolean>("berth.started", false),
  /** Whether starting at login was offered: once, after the first instance. */
  offered: new Kept<boolean>("berth.offered", false),
};
