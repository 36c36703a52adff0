/** A masked string in pieces that a line may be broken between: after `;`, never inside a key. */
export interface Piece {
  text: string;
  kind: "plain" | "value" | "mask";
}
export interface Segment {
  pieces: Piece[];
  /** Too long to stand on one line: may be broken anywhere. */
  long: boolean;
}

const MASK = /([•*]{3,})/;
const LONG = 58;

/** `values` are the parts worth finding with the eye: server and port, database, login. */
export function segments(masked: string, values: string[]): Segment[] {
  return masked.split(/(?<=;)/).map((text) => ({ pieces: pieces(text, values), long: text.length > LONG || text.includes("\n") }));
}

function pieces(text: string, values: string[]): Piece[] {
  const found: Piece[] = [];
  for (const part of text.split(MASK)) {
    if (part === "") continue;
    if (MASK.test(part)) {
      found.push({ text: "•".repeat(12), kind: "mask" });
      continue;
    }
    let rest = part;
    while (rest !== "") {
      let at = -1;
      let value = "";
      for (const candidate of values) {
        if (candidate === "") continue;
        const here = indexOfWord(rest, candidate);
        if (here >= 0 && (at < 0 || here < at || (here === at && candidate.length > value.length))) {
          at = here;
          value = candidate;
        }
      }
      if (at < 0) {
        found.push({ text: rest, kind: "plain" });
        break;
      }
      if (at > 0) found.push({ text: rest.slice(0, at), kind: "plain" });
      found.push({ text: value, kind: "value" });
      rest = rest.slice(at + value.length);
    }
  }
  return found;
}

/** Where a value stands by itself: `sa` is not in `password`. */
function indexOfWord(text: string, value: string): number {
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    const before = text[at - 1] ?? " ";
    const after = text[at + value.length] ?? " ";
    if (!/\w/.test(before) && !/\w/.test(after)) return at;
  }
  return -1;
}
