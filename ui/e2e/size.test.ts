import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

interface Chunk {
  file: string;
  css?: string[];
  imports?: string[];
  isEntry?: boolean;
  src?: string;
}

it("the first page is at most 150 kB gzip", () => {
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
  const sizes = [...files].map((file) => [file, gzipSync(readFileSync(join(dist, file))).length] as const);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`first page: ${(total / 1000).toFixed(1)} kB gzip in ${sizes.length} files`);
  expect(total, sizes.map(([file, size]) => `${file} ${size}`).join("\n")).toBeLessThanOrEqual(150_000);
});
