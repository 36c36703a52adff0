import { describe, expect, it } from "vitest";
import { Log, MAX_LINES, marked, matches } from "./log";

const lines = (n: number, text = "line") => Array.from({ length: n }, (_, at) => ({ stream: "stdout", text: `${text} ${at}` }));

describe("a log", () => {
  it("holds a hundred thousand lines and no more, and says what it left out", () => {
    const log = new Log();
    for (let n = 0; n < 13; n++) log.add(lines(10_000));
    expect(log.lines.length).toBeLessThanOrEqual(MAX_LINES);
    expect(log.lines.length + log.dropped, "what is not shown must be said").toBe(130_000);
    expect(log.lines.at(-1)?.at, "the newest are those that are kept").toBe(129_999);
  });

  it("is searched without regard to case, and each hit is marked", () => {
    const log = new Log();
    log.add([{ stream: "stdout", text: "Starting up database 'model'." }, { stream: "stdout", text: "Clearing tempdb database." }]);
    expect(matches(log.lines, "DATABASE")).toEqual([0, 1]);
    expect(matches(log.lines, "")).toEqual([]);
    expect(marked("tempdb in tempdb", "TempDB").map((p) => `${p.hit ? "!" : ""}${p.text}`)).toEqual(["!tempdb", " in ", "!tempdb"]);
  });

  it("tells what is broken from what is said", () => {
    const log = new Log();
    log.add([{ stream: "stdout", text: "Error: 701, Severity: 17, State: 123." }, { stream: "stdout", text: "Error: 18456, Severity: 14, State: 1." }]);
    expect(log.lines.map((l) => l.bad)).toEqual([true, false]);
  });
});
