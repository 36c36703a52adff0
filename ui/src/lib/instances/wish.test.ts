import { expect, it } from "vitest";
import { addressOf, nameFor } from "../hosts/address";
import { checkName, checkPort, freeName } from "./wish";

it("the free name is the one that the command would choose", () => {
  expect(freeName("2022", new Set())).toBe("sql2022");
  expect(freeName("2022", new Set(["sql2022", "sql2022-2"]))).toBe("sql2022-3");
});

it("names and ports are refused before anything begins", () => {
  for (const good of ["a", "orders-dev", "v1.2_x"]) expect(checkName(good), good).toBe(true);
  for (const bad of ["", "-a", "a b", "ä", "a/b", "x".repeat(51)]) expect(checkName(bad), bad).toBe(false);
  for (const good of ["1024", "14330", "65535"]) expect(checkPort(good), good).toBe(true);
  for (const bad of ["80", "65536", "1e4", " 14330"]) expect(checkPort(bad), bad).toBe(false);
});

it("an address is taken as people write it", () => {
  expect(addressOf("ada@win.lab")).toBe("ssh://ada@win.lab");
  expect(addressOf(" win.lab:2222 ")).toBe("ssh://win.lab:2222");
  expect(addressOf("/var/run/docker.sock")).toBe("unix:///var/run/docker.sock");
  expect(addressOf("ssh://a@b:22")).toBe("ssh://a@b:22");
  for (const none of ["", "a b", "http://x", "a/b"]) expect(addressOf(none), none).toBeNull();
});

it("a host gets a name that is free", () => {
  expect(nameFor("ssh://ada@win.lab:2222", new Set())).toBe("win");
  expect(nameFor("ssh://ada@win.lab", new Set(["win"]))).toBe("win-2");
  expect(nameFor("ssh://10.0.0.4", new Set())).toBe("10-0-0-4");
  expect(nameFor("unix:///run/docker.sock", new Set())).toBe("local");
});
