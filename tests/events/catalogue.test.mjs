// The catalogue of events is valid AsyncAPI. Whether it says what is really sent, a test of the gateway knows.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Parser } from "@asyncapi/parser";

const text = readFileSync(new URL("../../docs/events/asyncapi.json", import.meta.url), "utf8");

/** Of the severities of a diagnostic: 0 is an error, 1 a warning, what follows is advice. */
const WARNING = 1;

/** The faults of a document. Advice, such as to take a newer version of AsyncAPI, is none. */
async function faults(source) {
  const { diagnostics } = await new Parser().parse(source);
  return diagnostics
    .filter(({ severity }) => severity <= WARNING)
    .map(({ path, message }) => `${path.join(".")}: ${message}`);
}

test("the catalogue is valid AsyncAPI 3.0, with a channel, a message and an operation for each event", async () => {
  assert.deepEqual(await faults(text), []);
  const { document } = await new Parser().parse(text);
  assert.equal(document.version(), "3.0.0");
  const names = document.channels().all().map((channel) => channel.address());
  assert.equal(names.length, 11);
  assert.deepEqual(document.messages().all().map((message) => message.title()), names);
  assert.deepEqual(document.operations().all().map((operation) => operation.id()), names);
});

test("a channel with a message that is nowhere is a fault", async () => {
  const broken = JSON.parse(text);
  broken.channels["order.created"].messages["order.created"].$ref = "#/components/messages/nowhere";
  assert.notDeepEqual(await faults(JSON.stringify(broken)), []);
});
