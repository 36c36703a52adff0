import type { Choice } from "../components/Picker.svelte";
import { words } from "../words";

export const LICENCE = "https://go.microsoft.com/fwlink/?LinkId=746388";
export const EDITIONS: Choice[] = [
  { value: "express", label: words.create.express },
  { value: "developer", label: "Developer" },
  { value: "evaluation", label: "Evaluation" },
];
export const MEMORY: Choice[] = [
  { value: "-", label: words.create.defaultMemory },
  ...["2g", "3g", "4g", "6g", "8g", "16g"].map((value) => ({ value, label: `${value.slice(0, -1)} GB` })),
];

/** Newest in use first; Microsoft publishes nothing older than 2017 for Linux. */
export const versionsOn = (os: string | null) => (os === "linux" ? ["2022", "2025", "2019", "2017"] : ["2022", "2025", "2019", "2017"]);

/** The first free of `sql2022`, `sql2022-2`, …, as the command would choose. */
export function freeName(version: string, taken: ReadonlySet<string>): string {
  const stem = `sql${version}`;
  for (let n = 1; ; n++) {
    const name = n === 1 ? stem : `${stem}-${n}`;
    if (!taken.has(name)) return name;
  }
}
export const checkName = (name: string) => /^[a-z0-9][a-z0-9._-]{0,49}$/i.test(name);
export const checkPort = (text: string) => /^\d{4,5}$/.test(text) && Number(text) >= 1024 && Number(text) <= 65535;
