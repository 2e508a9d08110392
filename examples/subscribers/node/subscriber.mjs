// Subscribes to the events of Portico and prints each once: its type, subject, sequence and id.
//
// AMQP_URL is that of the account `subscriber`; the arguments are names of events, `order.created` or `payment.*`.

import { setTimeout } from "node:timers/promises";

import amqplib from "amqplib";

const EXCHANGE = "portico.events";
// Ours alone. It collects events while we are away, so delete it when you are done.
const QUEUE = "subscriber.example-node";
const REMEMBERED = 10_000;

// The last events that were handled: each may come twice. Whoever keeps a database remembers the ids there, in the
// transaction of the effect.
const seen = new Set();

async function subscribe(url, names) {
  const connection = await amqplib.connect(url);
  const ended = new Promise((resolve, reject) => {
    connection.on("error", reject);
    connection.on("close", () => reject(new Error("the connection ended")));
  });
  ended.catch(() => {});
  const channel = await connection.createChannel();
  channel.on("error", () => connection.close().catch(() => {}));
  await channel.assertQueue(QUEUE, { durable: true });
  for (const name of names) await channel.bindQueue(QUEUE, EXCHANGE, name);
  await channel.prefetch(100);
  await channel.consume(QUEUE, (message) => {
    // The queue was deleted.
    if (message === null) return void connection.close().catch(() => {});
    handle(JSON.parse(message.content));
    // After the effect, not before: else a crash in between loses the event.
    channel.ack(message);
  });
  await ended;
}

function handle({ type, subject, sequence, id }) {
  if (seen.has(id)) return;
  console.log(type, subject, sequence, id);
  seen.add(id);
  if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
}

// A connection can always end. What was not acknowledged comes again.
for (;;) {
  try {
    await subscribe(process.env.AMQP_URL, process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}; trying again`);
  }
  await setTimeout(1000);
}
