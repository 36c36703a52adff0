/** A log's lines with a bound, and what is found in them. */
export const MAX_LINES = 100_000;

export interface LogLine {
  at: number;
  text: string;
  bad: boolean;
}

export class Log {
  lines: LogLine[] = [];
  dropped = 0;
  #next = 0;

  add(lines: { stream: string; text: string }[]): void {
    for (const { stream, text } of lines) this.lines.push({ at: this.#next++, text, bad: stream === "stderr" || isBad(text) });
    const over = this.lines.length - MAX_LINES;
    if (over > 0) {
      // In large bites: dropping one line a line would copy everything each time.
      const bite = Math.max(over, MAX_LINES / 10);
      this.lines = this.lines.slice(bite);
      this.dropped += bite;
    }
  }
}

/** SQL Server numbers its severities; from 17 on something is broken. */
const isBad = (text: string) => /\bSeverity: (1[7-9]|2[0-5])\b/.test(text);

export function matches(lines: readonly LogLine[], wanted: string): number[] {
  const text = wanted.toLowerCase();
  if (text === "") return [];
  const found: number[] = [];
  for (let at = 0; at < lines.length; at++) if (lines[at]!.text.toLowerCase().includes(text)) found.push(at);
  return found;
}

/** A line's text in pieces, those that were searched for marked. */
export function marked(text: string, wanted: string): { text: string; hit: boolean }[] {
  if (wanted === "") return [{ text, hit: false }];
  const pieces: { text: string; hit: boolean }[] = [];
  const low = text.toLowerCase();
  const search = wanted.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(search); at >= 0; at = low.indexOf(search, from)) {
    if (at > from) pieces.push({ text: text.slice(from, at), hit: false });
    pieces.push({ text: text.slice(at, at + search.length), hit: true });
    from = at + search.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), hit: false });
  return pieces;
}
