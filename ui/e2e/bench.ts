/** The app beside an empty window of the same frame, release builds, in one run: `make bench`. It prints, and judges nothing. */
import { readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "vitest";
import { firstPage } from "./first-page";
import { App, missing } from "./webdriver";

const release = join(process.env["CARGO_TARGET_DIR"] ?? resolve(import.meta.dirname, "../../target"), "release");
const WINDOWS = {
  app: { binary: join(release, "berth-app"), there: '//*[@role="option"]' },
  empty: { binary: join(release, "examples", "empty"), there: '//p[@id="there"]' },
};
const RUNS = 7;
const IDLE_MS = 8000;

const status = (pid: string, key: string) => new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
const pids = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name));
const told = <T>(ask: () => T): T | undefined => {
  try {
    return ask();
  } catch {
    return undefined;
  }
};

/** What a program and those that it started hold, shared memory by its share, in MB. */
function memory(binary: string): number {
  const root = pids().find((pid) => told(() => readlinkSync(`/proc/${pid}/exe`)) === binary && !told(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.includes("agent"));
  if (!root) throw new Error(`${binary} does not run`);
  const family = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const pid of pids())
      if (!family.has(pid) && family.has(told(() => status(pid, "PPid")) ?? "")) {
        family.add(pid);
        grown = true;
      }
  }
  let kB = 0;
  for (const pid of family) kB += Number(told(() => /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]) ?? 0);
  return kB / 1024;
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const spread = (values: number[], unit: string) => `${median(values).toFixed(0)} ${unit} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

test("numbers", { timeout: 600_000 }, async () => {
  const page = firstPage();
  console.log(`first page: ${(page.reduce((sum, [, size]) => sum + size, 0) / 1000).toFixed(1)} kB gzip (at most 150)`);
  console.log(`release binary: ${(statSync(WINDOWS.app.binary).size / 1e6).toFixed(1)} MB (at most 25)`);
  const lacks = missing();
  if (lacks) {
    console.log(`SKIPPED: start and memory of the app (${lacks})`);
    return;
  }
  const stage = await App.stage();
  try {
    const file = join(stage.home, "password");
    writeFileSync(file, "Xk3Vq8Lm2Rt9Zp4W", { mode: 0o600 });
    for (const name of ["one", "two", "three"]) stage.berth("up", name, "--host", "practice", "--password-file", file);
    const time: Record<string, number[]> = { app: [], empty: [] };
    const used: Record<string, number[]> = { app: [], empty: [] };
    for (let n = 0; n < RUNS; n++)
      for (const [name, { binary, there }] of Object.entries(WINDOWS)) {
        const began = performance.now();
        await stage.open(binary);
        await stage.find(there, 30_000, 5);
        time[name]?.push(performance.now() - began);
        await new Promise((done) => setTimeout(done, IDLE_MS));
        used[name]?.push(memory(binary));
        await stage.close();
      }
    for (const [what, values, unit, most] of [["start to first list", time, "ms", 1.5], ["idle memory", used, "MB", 1.3]] as const) {
      const [app, empty] = [values["app"] ?? [], values["empty"] ?? []];
      console.log(`${what}: ${spread(app, unit)}; an empty window ${spread(empty, unit)}; ${(median(app) / median(empty)).toFixed(2)} × (at most ${most})`);
    }
  } finally {
    await stage.stop();
  }
});
