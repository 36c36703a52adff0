/** What somebody typed as an address, as the table wants it; null while it is none. */
export function addressOf(text: string): string | null {
  const typed = text.trim();
  if (typed === "") return null;
  if (/^(ssh|unix|tcp):\/\/\S+$/.test(typed)) return typed;
  if (typed.startsWith("/")) return `unix://${typed}`;
  // `user@machine`, `machine`, `machine:2222`.
  if (/^(?:[^\s@/:]+@)?[^\s@/]+$/.test(typed)) return `ssh://${typed}`;
  return null;
}

/** A name for it: the first label of the machine's name. */
export function nameFor(address: string, taken: ReadonlySet<string>): string {
  const host = /^unix:/.test(address) ? "local" : (/^\w+:\/\/(?:[^@/]*@)?\[?([^/:\]]+)/.exec(address)?.[1] ?? "host");
  const stem = (/^[\d.]+$/.test(host) ? host.replaceAll(".", "-") : (host.split(".")[0] ?? host)).replaceAll(/[^\w-]/g, "-").slice(0, 40) || "host";
  for (let n = 1; ; n++) {
    const name = n === 1 ? stem : `${stem}-${n}`;
    if (!taken.has(name) && name !== "practice") return name;
  }
}
