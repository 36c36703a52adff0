import { defineConfig } from "vitest/config";

// The window in Debian's Chromium, against the devhost and the practice host.
export default defineConfig({
  test: {
    environment: "node",
    include: process.env["BERTH_SHOTS"] ? ["e2e/shots.ts"] : process.env["BERTH_BENCH"] ? ["e2e/bench.ts"] : ["e2e/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
