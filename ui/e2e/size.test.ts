import { expect, it } from "vitest";
import { firstPage } from "./first-page";

it("the first page is at most 150 kB gzip", () => {
  const sizes = firstPage();
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`first page: ${(total / 1000).toFixed(1)} kB gzip in ${sizes.length} files`);
  expect(total, sizes.map(([file, size]) => `${file} ${size}`).join("\n")).toBeLessThanOrEqual(150_000);
});
