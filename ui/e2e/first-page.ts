import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

interface Chunk {
  file: string;
  css?: string[];
  imports?: string[];
  isEntry?: boolean;
  src?: string;
}

/** The files that the window's first page is made of, each with its size in bytes as gzip. */
export function firstPage(): [string, number][] {
  const dist = resolve(import.meta.dirname, "../dist");
  const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8")) as Record<string, Chunk>;
  const files = new Set(["index.html"]);
  const take = (key: string) => {
    const chunk = manifest[key];
    if (!chunk || files.has(chunk.file)) return;
    files.add(chunk.file);
    for (const css of chunk.css ?? []) files.add(css);
    for (const next of chunk.imports ?? []) take(next);
  };
  for (const [key, chunk] of Object.entries(manifest)) if (chunk.isEntry) take(key);
  // What the entry asks for at once, though by `import()`.
  take("src/lib/backend/web.ts");
  return [...files].map((file) => [file, gzipSync(readFileSync(join(dist, file))).length]);
}
