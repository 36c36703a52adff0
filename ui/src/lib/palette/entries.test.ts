import { expect, it } from "vitest";
import { find, type Entry } from "./entries";

const entry = (title: string, group = "orders", hint = ""): Entry => ({ id: title, group, title, hint, icon: "go", run: () => {} });
const all = [entry("Copy as ADO.NET"), entry("Copy as JDBC"), entry("Stop"), entry("Show reports", "Other instances", "winhost"), entry("Settings…", "Berth")];
const titles = (wanted: string) => find(all, wanted).flatMap(([, members]) => members.map((e) => e.title));

it("every word typed must be found, in any order, from the beginning of a word first", () => {
  expect(titles("copy jd")).toEqual(["Copy as JDBC"]);
  expect(titles("jd copy")).toEqual(["Copy as JDBC"]);
  expect(titles("set")[0]).toBe("Settings…");
  expect(titles("winhost"), "a host's name finds what is on it").toEqual(["Show reports"]);
  expect(titles("copy zzz")).toEqual([]);
  expect(titles("").length).toBe(all.length);
});

it("keeps what belongs together together", () => {
  expect(find(all, "").map(([group]) => group)).toEqual(["orders", "Other instances", "Berth"]);
});
