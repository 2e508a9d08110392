// The npm client `graphql-sse` at a running Portico, in its "distinct connections mode".

import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient } from "graphql-sse";

import { ask, cancel, graphql, pay, place, register } from "./portico.mjs";

const LIMIT = { timeout: 30_000 };
const FOLLOW = `subscription ($after: ID) {
  orderStatusChanged(after: $after) { eventId to order { id } }
}`;

function connect(t, token) {
  const headers = token && { Authorization: `Bearer ${token}` };
  const client = createClient({ url: graphql, headers, retryAttempts: 0 });
  t.after(() => client.dispose());
  return client;
}

test("a client sees its orders move on, and comes back where it left", LIMIT, async (t) => {
  const { token } = await register();
  const [paid, cancelled] = [await place(token), await place(token)];
  const events = connect(t, token).iterate({ query: FOLLOW });
  const first = events.next();
  await pay(paid, token);
  const { eventId, to, order } = (await first).value.data.orderStatusChanged;
  assert.deepEqual([to, order.id], ["CONFIRMED", paid]);
  await events.return();
  await cancel(cancelled, token);
  const again = connect(t, token).iterate({ query: FOLLOW, variables: { after: eventId } });
  const missed = (await again.next()).value.data.orderStatusChanged;
  assert.deepEqual([missed.to, missed.order.id], ["CANCELLED", cancelled]);
});

test("a query is one answer and the end", LIMIT, async (t) => {
  const { token } = await register();
  const answers = [];
  for await (const answer of connect(t, token).iterate({ query: "{ me { firstName } }" })) answers.push(answer);
  assert.deepEqual(answers, [{ data: { me: { firstName: "Ada" } } }]);
});

test("a session that is revoked ends the stream with its reason", LIMIT, async (t) => {
  const { token } = await register();
  const events = connect(t, token).iterate({ query: FOLLOW });
  const ended = events.next();
  // The stream is there once the gateway has answered the request; its first word comes with the revocation.
  await new Promise((wake) => setTimeout(wake, 200));
  await ask("mutation { logout }", token);
  const { errors } = (await ended).value;
  assert.equal(errors[0].extensions.reason, "SESSION_REVOKED");
  assert.equal((await events.next()).done, true);
});

test("what is refused says why", LIMIT, async (t) => {
  const events = connect(t).iterate({ query: FOLLOW });
  const { errors } = (await events.next()).value;
  assert.equal(errors[0].extensions.reason, "TOKEN_MISSING");
  assert.equal((await events.next()).done, true);
  await assert.rejects(connect(t, "nonsense").iterate({ query: FOLLOW }).next(), ({ response }) => {
    assert.equal(response.status, 401);
    return true;
  });
});
