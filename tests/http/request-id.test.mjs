// One id names a request from nginx to the last line that a service logs about it.
//
//   PORTICO_NGINX_URL   where nginx listens
//   PORTICO_STATE_DIR   the state folder of that Portico, which logs what the services ask their databases

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

const { PORTICO_NGINX_URL: url, PORTICO_STATE_DIR: folder } = process.env;

/** The lines of the log that have this id, as soon as one of them is `wanted`. */
async function lines(log, id, wanted) {
  for (const deadline = Date.now() + 10_000; ; await pause(50)) {
    const found = (await readFile(`${folder}/${log}`, "utf8")).split("\n").filter((line) => line.includes(id));
    if (found.some((line) => wanted.test(line))) return found;
    assert.ok(Date.now() < deadline, `${log} has no such line about ${id}: ${found.join("\n")}`);
  }
}

test("a request's id is in the answer, and in the lines that nginx, the gateway and a service log", async () => {
  const id = `traced-${process.pid}-${Date.now()}`;
  const answer = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Request-Id": id },
    // Public answers may be kept: this one asks anew, with a limit that nobody else uses.
    body: JSON.stringify({ query: "{ products(limit: 37) { data { id } } nonexistent: product(id: \"no-such\") { id } }" }),
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("x-request-id"), id);
  await lines("nginx/access.log", id, /POST/);
  // A line about a statement of the service, which tells the RPC that it is of.
  await lines("logs/portico.log", id, /sqlx::query.* span=order\.v1\.OrderService\//);
});

test("an id that is none is replaced by one that nginx and the gateway share", async () => {
  const answer = await fetch(`${url}/graphql?query={nonsense}`, { headers: { "X-Request-Id": "not one" } });
  const id = answer.headers.get("x-request-id");
  assert.match(id, /^[0-9a-zA-Z._-]{16,64}$/);
  assert.equal((await answer.json()).errors[0].extensions.requestId, id);
  await lines("nginx/access.log", id, /GET/);
});

test("answers of every part have an id, also those that nginx gives by itself", async () => {
  for (const path of ["/", "/health", "/nothing", "/.well-known/jwks.json", "/graphql?query={", "/api/v1/users/me"]) {
    const answer = await fetch(url + path, { headers: { "X-Request-Id": "every-part" } });
    await answer.arrayBuffer();
    assert.equal(answer.headers.get("x-request-id"), "every-part", path);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
  }
});
