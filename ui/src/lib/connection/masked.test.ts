import { describe, expect, it } from "vitest";
import type { Piece } from "../backend";
import { segments } from "./masked";

const piece = (text: string, part: string | null = null, secret = false): Piece => ({ text, part, secret, meaning: part });
const adonet = [
  piece("Server=tcp:"),
  piece("127.0.0.1,14330", "server"),
  piece(';Database="'),
  piece("or;ders", "database"),
  piece('";Password="'),
  piece("••••", "password", true),
  piece('";Encrypt=True'),
];
const lines = (pieces: Piece[]) => segments(pieces).map((s) => s.stretches.map((x) => x.text).join(""));

describe("a masked string", () => {
  it("may be broken after `;` and nowhere else", () => {
    expect(lines(adonet)).toEqual(["Server=tcp:127.0.0.1,14330;", 'Database="or;', 'ders";', 'Password="••••••••••••";', "Encrypt=True"]);
  });

  it("loses nothing and adds nothing but the mask's own length", () => {
    const whole = adonet.map((p) => p.text).join("");
    expect(lines(adonet).join("").replaceAll("•", "")).toBe(whole.replaceAll("•", ""));
  });

  it("always shows the same mask", () => {
    expect(lines([piece("•", "password", true)])).toEqual(lines([piece("•".repeat(40), "password", true)]));
  });

  it("marks what the eye looks for, and says what it means", () => {
    const values = segments(adonet).flatMap((s) => s.stretches.filter((x) => x.kind === "value").map((x) => x.text));
    expect(values).toEqual(["127.0.0.1,14330", "or;", "ders"]);
    expect(segments(adonet)[0]?.stretches[1]?.meaning).toBe("server");
  });

  it("leaves a key as quiet as the others", () => {
    const [first] = segments([piece('User ID="a=b";', "user")]);
    expect(first?.stretches.map((x) => [x.text, x.kind])).toEqual([
      ["User ID=", "plain"],
      ['"a=b";', "value"],
    ]);
  });

  it("knows what cannot stand on one line", () => {
    expect(segments([piece("{\n}")])[0]?.long).toBe(true);
    expect(segments([piece("x".repeat(80))])[0]?.long).toBe(true);
    expect(segments([piece("a=b;")])[0]?.long).toBe(false);
  });
});
