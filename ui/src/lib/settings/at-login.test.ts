import { cleanup, render, screen, waitFor } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend, Native } from "../backend";
import { kept } from "../kept.svelte";
import { KEY, Window } from "../window.svelte";
import AtLoginOffer from "./AtLoginOffer.svelte";

/** The system, where Berth starts at login or not; `null`: it has no such thing. */
function system(is: boolean | null) {
  const atLogin = vi.fn((on?: boolean) => Promise.resolve((is = on ?? is)));
  const native = { atLogin } as unknown as Native;
  const w = new Window({ kind: "app", native, call: () => Promise.resolve([]) } as unknown as Backend);
  render(AtLoginOffer, { props: { native }, context: new Map([[KEY, w]]) });
  return { atLogin, w };
}

describe("starting at login", () => {
  beforeEach(() => (kept.offered.value = false));
  afterEach(cleanup);

  it("is offered where Berth does not, and done by one click", async () => {
    const { atLogin, w } = system(false);
    (await screen.findByRole("button", { name: "Start at login" })).click();
    await waitFor(() => expect(atLogin).toHaveBeenLastCalledWith(true));
    await waitFor(() => expect(w.toasts.map((t) => t.text).join()).toContain("starts at login"));
    expect(kept.offered.value, "it is offered once").toBe(true);
  });

  it("is not done by whoever says no, and not offered again", async () => {
    const { atLogin } = system(false);
    (await screen.findByRole("button", { name: "Not now" })).click();
    expect(kept.offered.value).toBe(true);
    expect(atLogin.mock.calls, "it was asked about and not changed").toEqual([[]]);
  });

  it.each([true, null])("is not offered where that is so already, or nothing of a system (%s)", async (is) => {
    const { atLogin } = system(is);
    await waitFor(() => expect(atLogin).toHaveBeenCalled());
    await new Promise((done) => setTimeout(done));
    expect(screen.queryByRole("button")).toBeNull();
  });
});
