// Reads a file as a Node client would: the values as a JSON list on standard output.
// node read.mjs dotenv|expand|next|yaml|environment FILE [COUNT], with READERS naming the packages' folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";

const [kind, file, count] = process.argv.slice(2);
const from = createRequire(`${process.env.READERS}/`);
const listed = (found) => Array.from({ length: Number(count) }, (_, n) => found[`V${n}`] ?? null);
const readers = {
  dotenv: () => listed(from("dotenv").parse(readFileSync(file))),
  expand: () => {
    const environment = {};
    const read = from("dotenv").config({ path: file, processEnv: environment, quiet: true });
    return listed(from("dotenv-expand").expand({ ...read, processEnv: environment }).parsed);
  },
  next: () => listed(from("@next/env").loadEnvConfig(dirname(file), false, { info() {}, error: console.error }).combinedEnv),
  yaml: () => from("yaml").parse(readFileSync(file, "utf8")),
  environment: () => listed(process.env),
};
process.stdout.write(JSON.stringify(readers[kind]()));
