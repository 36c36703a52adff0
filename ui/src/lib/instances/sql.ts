import type { Backend } from "../backend";
import { BerthError } from "../backend";

/** `[name]`, as T-SQL quotes a name. */
export const bracketed = (name: string) => `[${name.replaceAll("]", "]]")}]`;

export interface Database {
  name: string;
  state: string;
  system: boolean;
}

const SYSTEM = new Set(["master", "model", "msdb", "tempdb"]);

/** Runs a script as `sa` and gives the rows of all its results. A server's error ends it. */
export async function rows(backend: Backend, name: string, sql: string, signal?: AbortSignal): Promise<unknown[][]> {
  const found: unknown[][] = [];
  let refused: string | undefined;
  await backend.call("query.run", { name, sql, database: "master", login: "sa" }, {
    ...(signal ? { signal } : {}),
    onItem: (event) => {
      if (event.kind === "rows") found.push(...event.rows);
      if (event.kind === "error") refused ??= event.message;
    },
  });
  if (refused !== undefined) throw new BerthError({ code: "failed", message: refused.replace(/\.$/, ""), causes: [], hint: null, details: [] });
  return found;
}

export async function databases(backend: Backend, name: string, signal?: AbortSignal): Promise<Database[]> {
  const all = await rows(backend, name, "SELECT name, state_desc FROM sys.databases ORDER BY database_id", signal);
  return all.map(([database, state]) => ({ name: String(database), state: String(state).toLowerCase(), system: SYSTEM.has(String(database)) }));
}
