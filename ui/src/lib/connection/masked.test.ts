import { describe, expect, it } from "vitest";
import { segments } from "./masked";

const text = (masked: string) =>
  segments(masked, [])
    .flatMap((s) => s.pieces)
    .map((p) => p.text)
    .join("");

describe("a masked string", () => {
  const adonet = 'Server=tcp:127.0.0.1,14330;Database="orders";User ID="sa";Password=••••••••;Encrypt=Mandatory';

  it("is broken after `;` and nowhere else", () => {
    expect(segments(adonet, []).map((s) => s.pieces.map((p) => p.text).join(""))).toEqual([
      "Server=tcp:127.0.0.1,14330;",
      'Database="orders";',
      'User ID="sa";',
      "Password=••••••••••••;",
      "Encrypt=Mandatory",
    ]);
  });

  it("loses nothing and adds nothing but the mask's own length", () => {
    expect(text(adonet).replaceAll("•", "")).toBe(adonet.replaceAll("•", ""));
    expect(text("a\n{b}\n")).toBe("a\n{b}\n");
  });

  it("always shows the same mask: its length says nothing of the password's", () => {
    expect(text("p=•••;")).toBe(text("p=••••••••••••••••;"));
  });

  it("marks values as words, not as parts of words", () => {
    const values = segments(adonet, ["127.0.0.1,14330", "orders", "sa"])
      .flatMap((s) => s.pieces)
      .filter((p) => p.kind === "value")
      .map((p) => p.text);
    expect(values).toEqual(["127.0.0.1,14330", "orders", "sa"]);
    expect(segments("Pass=usa;", ["sa"])[0]?.pieces.some((p) => p.kind === "value"), "`sa` is not in `usa`").toBe(false);
  });
});
