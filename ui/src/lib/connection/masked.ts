import type { Piece } from "../backend";

/** A masked string in segments that a line may be broken between: after `;`, never inside a key. */
export interface Stretch {
  text: string;
  kind: "plain" | "value" | "mask";
  meaning: string;
}
export interface Segment {
  stretches: Stretch[];
  /** Too long to stand on one line, or with lines of its own: may be broken anywhere. */
  long: boolean;
}

/** What the eye looks for. */
const VALUES = new Set(["server", "port", "database", "user"]);
const LONG = 58;

export function segments(pieces: readonly Piece[]): Segment[] {
  const all: Segment[] = [];
  let open: Segment = { stretches: [], long: false };
  const close = () => {
    if (open.stretches.length > 0) {
      const text = open.stretches.map((s) => s.text).join("");
      open.long = text.length > LONG || text.includes("\n");
      all.push(open);
    }
    open = { stretches: [], long: false };
  };
  for (const piece of pieces) {
    const meaning = piece.meaning ?? "";
    // Its length says nothing of the password's.
    if (piece.secret) {
      open.stretches.push({ text: "•".repeat(12), kind: "mask", meaning });
      continue;
    }
    const kind = VALUES.has(piece.part ?? "") ? "value" : "plain";
    // Of `Server=…` the eye looks for what follows.
    const key = kind === "value" ? (/^[\w .]+=/.exec(piece.text)?.[0] ?? "") : "";
    if (key !== "") open.stretches.push({ text: key, kind: "plain", meaning });
    const parts = piece.text.slice(key.length).split(/(?<=;)/);
    parts.forEach((text, at) => {
      if (text !== "") open.stretches.push({ text, kind, meaning });
      if (at < parts.length - 1 || text.endsWith(";")) close();
    });
  }
  close();
  return all;
}
