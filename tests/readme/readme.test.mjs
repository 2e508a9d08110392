// Pastes the README's first ten minutes into one shell, against a running Portico, and compares what is printed with
// what the README says is printed. Ids, times and the made-up email differ from run to run; nothing else may.
//
//   PORTICO_URL      where Portico listens (http://127.0.0.1:8080)
//   README_WRITE=1   write what was printed into the README instead

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const url = process.env.PORTICO_URL ?? "http://127.0.0.1:8080";
const file = fileURLToPath(new URL("../../README.md", import.meta.url));
const readme = readFileSync(file, "utf8");
const END_OF_STEP = "<<< end of step >>>";

const section = readme.slice(readme.indexOf("## The first ten minutes"), readme.indexOf("## Settings"));
// A step is a block of shell and the block of what it prints, or the place where that is to be written.
const steps = [...section.matchAll(/```sh\n(?<shell>[^]*?)```\n\n(?<printed>```json\n[^]*?```|@@\d@@)/g)].map((step) => step.groups);

const steady = (text) =>
  text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "ID")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    // nginx writes the ids that it makes without dashes.
    .replace(/"requestId":"[0-9a-f]{32}"/g, '"requestId":"ID"')
    .replace(/lin-\d+@/g, "lin@");

test("the first ten minutes print what the README says", () => {
  assert.equal(steps.length, 6, "the README has six steps");
  const script = steps.map(({ shell }) => `${shell}echo '${END_OF_STEP}'\n`).join("");
  const output = execFileSync("bash", ["-euo", "pipefail", "-c", script.replaceAll("http://127.0.0.1:8080", url)], {
    encoding: "utf8",
    timeout: 60_000,
  });
  const printed = output.split(`${END_OF_STEP}\n`).slice(0, -1);
  const pretty = printed.map((text) => `\`\`\`json\n${text}\`\`\``);
  if (process.env.README_WRITE) {
    writeFileSync(file, steps.reduce((text, step, at) => text.replace(step.printed, () => pretty[at]), readme));
    return;
  }
  steps.forEach((step, at) => assert.equal(steady(pretty[at]), steady(step.printed), `step ${at + 1}`));
});
