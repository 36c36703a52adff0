import { afterAll, beforeAll, expect, it } from "vitest";
import { axe } from "./axe";
import { lab, play } from "./played";
import { Rig } from "./rig";

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(async () => {
  await rig.stop();
});

const ill = { id: "tls-foreign", what: "The listener is of another computer", repair: "`berth host prepare NAME --new-certificates` makes new ones for this computer", by_prepare: false };

it("what a hint names in the command's terms is a click here, by the keyboard too", async () => {
  const page = await rig.page();
  const asked = await play(page, [lab()], (frame, say) => {
    if (frame.command === "host.check") {
      const hint = "Take another with `--port 14331`, or see it in `docker info`; `berth host doctor lab` says what's wrong";
      say("failed", frame.id, { code: "failed", message: "The engine on `lab` does not answer", causes: ["`dial tcp`: refused"], hint, details: [] });
    } else if (frame.command === "host.doctor") say("done", frame.id, { machine: "Windows Server 2022", ills: [ill] });
    else if (frame.command === "host.plan") say("done", frame.id, { machine: "Windows Server 2022", steps: [], refusals: [], notes: [], done: false, seconds: 0 });
    else return false;
    return true;
  });
  await page.getByRole("navigation").getByRole("button", { name: /^lab/ }).click();
  await page.getByRole("button", { name: "Check now" }).press("Enter");
  const problem = page.getByRole("alert");
  await problem.waitFor();
  expect(await problem.innerText(), "who sits before the window cannot type a command").toContain("Take another with Port 14331, or see it in docker info; Find what is wrong… says what’s wrong.");
  expect(await axe(page)).toEqual([]);
  await problem.getByRole("button", { name: "Find what is wrong…" }).press("Enter");
  await page.getByRole("dialog", { name: "What is wrong with lab" }).getByText("of another computer").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Prepare this machine…" }).press("Enter");
  await page.getByRole("dialog", { name: "Prepare lab" }).waitFor();
  await expect
    .poll(() => asked.find((frame) => frame.command === "host.plan")?.body, { message: "an option that the hint has is asked for by the click" })
    .toMatchObject({ name: "lab", new_certificates: true });
  await page.context().close();
});
