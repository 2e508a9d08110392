// The example subscribers against the whole system: each prints each event once, and goes on after its connection was cut.
// scripts/test-subscribers brings the system, and says by PORTICO_URL and AMQP_URL where it is. ORDER_AMQP_URL is that of
// the order service, which may say what happened to orders.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

// That of the example.
const amqplib = createRequire(new URL("../../examples/subscribers/node/package.json", import.meta.url))("amqplib");

const NAMES = ["order.*", "payment.*"];
const EXAMPLES = {
  rust: [process.env.RUST_SUBSCRIBER],
  python: ["python3", "../examples/subscribers/python/subscriber.py"],
  node: ["node", "../examples/subscribers/node/subscriber.mjs"],
};

/** Between the subscribers and RabbitMQ, so that their connections can be cut. */
const broker = new URL(process.env.AMQP_URL);
const connections = new Set();
const proxy = createServer((client) => {
  const server = connect(Number(broker.port), broker.hostname);
  for (const [from, to] of [[client, server], [server, client]]) {
    connections.add(from);
    from.on("error", () => {});
    from.on("close", () => connections.delete(from) && to.destroy());
    from.pipe(to);
  }
});

/** By example: the process, and the lines that it has printed. */
const running = {};

before(async () => {
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = new URL(broker);
  url.host = `127.0.0.1:${proxy.address().port}`;
  for (const [name, [program, ...given]] of Object.entries(EXAMPLES)) {
    const options = { env: { ...process.env, AMQP_URL: url.href }, stdio: ["ignore", "pipe", "pipe"] };
    const child = spawn(program, [...given, ...NAMES], options);
    running[name] = { child, lines: [], complaints: [] };
    createInterface(child.stdout).on("line", (line) => running[name].lines.push(line.split(" ")));
    createInterface(child.stderr).on("line", (line) => running[name].complaints.push(line));
  }
  // They are there once each hears of an order.
  await until("each subscriber hears of an order", async () => {
    await place();
    await sleep(500);
    return Object.values(running).every(({ lines }) => lines.length > 0);
  });
});

after(() => {
  for (const { child } of Object.values(running)) child.kill();
  proxy.close();
  for (const socket of connections) socket.destroy();
});

let token;
async function ask(query) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${process.env.PORTICO_URL}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  return answer.json();
}

async function data(query) {
  const answer = await ask(query);
  assert.equal(answer.errors, undefined, JSON.stringify(answer));
  return answer.data;
}

/** An order's id. */
async function place() {
  token ??= (await data('mutation { login(input: {email: "ada@example.com", password: "demo-customer-4711"}) { token } }')).login.token;
  const order = await data('mutation { createOrder(input: {shippingAddress: "1 Main Street", notes: "", items: [{productId: "prod-1", quantity: 1}]}) { id } }');
  return order.createOrder.id;
}

/** Places an order and pays it; the events that this must be told by, as "type subject". */
async function placeAndPay() {
  const order = await place();
  let payment;
  await until("the order has its payment", async () => {
    const answer = await ask(`mutation { createPayment(input: {orderId: "${order}"}) { id } }`);
    payment = answer.data?.createPayment?.id;
    return payment;
  });
  await data(`mutation { processPayment(input: {paymentId: "${payment}", token: "tok_visa"}) { status } }`);
  return [`portico.order.created.v1 ${order}`, `portico.payment.success.v1 ${payment}`, `portico.order.status_changed.v1 ${order}`];
}

async function until(what, condition) {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    const told = Object.entries(running).map(([name, { lines, complaints, child }]) =>
      `${name} (${child.exitCode ?? "runs"}) printed ${lines.length} lines; ${complaints.slice(-3).join("; ")}`);
    assert.ok(Date.now() < deadline, `waited in vain until ${what}\n${told.join("\n")}`);
    await sleep(100);
  }
}

/** What an example printed of these. */
const printed = (name, events) =>
  running[name].lines.map(([type, subject]) => `${type} ${subject}`).filter((event) => events.includes(event));

for (const name of Object.keys(EXAMPLES)) {
  test(`the subscriber in ${name} prints each event of an order that is placed and paid`, async () => {
    const events = await placeAndPay();
    await until(`${name} has printed ${events}`, () => printed(name, events).length >= events.length);
    assert.deepEqual(printed(name, events).sort(), events.sort());
  });
}

test("each goes on where it was after its connection was cut", async () => {
  for (const socket of connections) socket.destroy();
  const events = await placeAndPay();
  for (const name of Object.keys(EXAMPLES)) {
    await until(`${name} has printed ${events}`, () => printed(name, events).length >= events.length);
    assert.ok(running[name].complaints.length > 0, `${name} noticed nothing`);
    assert.deepEqual(printed(name, events).sort(), events.sort());
  }
});

test("an event that comes twice is printed once", async () => {
  const event = (id) => ({ id, type: "portico.order.deleted.v1", subject: id, sequence: "1" });
  const [repeated, last] = [randomUUID(), randomUUID()];
  // Of these events nobody but the subscribers hears.
  const connection = await amqplib.connect(process.env.ORDER_AMQP_URL);
  const channel = await connection.createConfirmChannel();
  for (const id of [repeated, repeated, last]) {
    channel.publish("portico.events", "order.deleted", Buffer.from(JSON.stringify(event(id))));
  }
  await channel.waitForConfirms();
  await connection.close();
  for (const [name, { lines }] of Object.entries(running)) {
    const times = (id) => lines.filter((words) => words[3] === id).length;
    await until(`${name} has printed ${last}`, () => times(last) === 1);
    assert.equal(times(repeated), 1);
  }
});

test("no event was printed twice, and each has its sequence", () => {
  for (const { lines } of Object.values(running)) {
    const ids = lines.map((words) => words[3]);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(lines.every((words) => words.length === 4 && Number(words[2]) >= 1));
  }
});
