// The npm client `graphql-ws` at a running Portico.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { ask, cancel, pay, place, register, socketUrl } from "./portico.mjs";

const LIMIT = { timeout: 30_000 };
const FOLLOW = `subscription ($order: ID, $after: ID) {
  orderStatusChanged(orderId: $order, after: $after) { eventId from to order { id status } }
}`;

/** A client with this token, or what a function gives for it at each connection. */
function connect(t, token, options) {
  const client = createClient({
    url: socketUrl,
    webSocketImpl: WebSocket,
    connectionParams: async () => ({ Authorization: `Bearer ${typeof token === "function" ? await token() : token}` }),
    retryAttempts: 0,
    ...options,
  });
  t.after(() => client.dispose());
  return client;
}

test("a client sees its order turn CONFIRMED", LIMIT, async (t) => {
  const { token } = await register();
  const order = await place(token);
  const events = connect(t, token).iterate({ query: FOLLOW, variables: { order } });
  const first = events.next();
  await pay(order, token);
  const { data } = (await first).value;
  assert.equal(data.orderStatusChanged.from, "PENDING");
  assert.equal(data.orderStatusChanged.to, "CONFIRMED");
  assert.deepEqual(data.orderStatusChanged.order, { id: order, status: "CONFIRMED" });
});

test("queries and mutations go the same way, and a refusal is one", LIMIT, async (t) => {
  const { token } = await register();
  const client = connect(t, token);
  const { value } = await client.iterate({ query: "{ me { firstName } }" }).next();
  assert.deepEqual(value, { data: { me: { firstName: "Ada" } } });
  await assert.rejects(
    client.iterate({ query: "subscription { domainEvents { id } }" }).next(),
    ([error]) => error.extensions.reason === "FORBIDDEN",
  );
});

test("a client whose session is revoked is let go with 4403, comes back with a new token and misses nothing", LIMIT, async (t) => {
  const person = await register();
  const [order, cancelled] = [await place(person.token), await place(person.token)];
  const second = await person.logIn();
  let connections = 0;
  const closed = [];
  const client = connect(
    t,
    async () => {
      connections += 1;
      if (connections === 1) return person.token;
      // What happens while nobody listens.
      await cancel(cancelled, second);
      await ask("{ me { id } }", second);
      return second;
    },
    { retryAttempts: 3, retryWait: async () => {}, on: { closed: ({ code }) => closed.push(code) } },
  );
  const told = [];
  const variables = {};
  // The same object is sent again at the next connection, with what was seen last.
  const done = new Promise((resolve, reject) => {
    client.subscribe(
      { query: FOLLOW, variables },
      {
        next({ data }) {
          told.push(data.orderStatusChanged.to);
          variables.after = data.orderStatusChanged.eventId;
          if (told.length === 1) ask("mutation { logout }", person.token).catch(reject);
          else resolve();
        },
        error: reject,
        complete: resolve,
      },
    );
  });
  await new Promise((wake) => client.on("connected", wake));
  await pay(order, person.token);
  await done;
  assert.deepEqual(told, ["CONFIRMED", "CANCELLED"]);
  assert.equal(closed[0], 4403);
  assert.equal(connections, 2);
});

test("a token that is none ends the connection, and the client knows why", LIMIT, async (t) => {
  const client = connect(t, "nonsense");
  await assert.rejects(client.iterate({ query: "{ __typename }" }).next(), ({ code, reason }) => {
    assert.deepEqual([code, reason], [4403, "Forbidden"]);
    return true;
  });
});

test("an event that is not kept any more is told as such", LIMIT, async (t) => {
  const { token } = await register();
  const variables = { after: "01900000-0000-7000-8000-000000000000" };
  await assert.rejects(connect(t, token).iterate({ query: FOLLOW, variables }).next(), ([error]) => {
    assert.equal(error.extensions.code, "FAILED_PRECONDITION");
    assert.equal(error.extensions.reason, "EVENTS_MISSED");
    return true;
  });
});

test("pings go both ways", LIMIT, async (t) => {
  const { token } = await register();
  const ponged = new Promise((resolve) => {
    const client = connect(t, token, {
      lazy: false,
      keepAlive: 100,
      on: { pong: (received) => received && resolve() },
    });
    client.on("error", () => {});
  });
  await ponged;
});
