"""Subscribes to the events of Portico and prints each once: its type, subject, sequence and id.

AMQP_URL is that of the account `subscriber`; the arguments are names of events, `order.created` or `payment.*`.
"""

import collections
import json
import os
import sys
import time

import pika
import pika.exceptions

EXCHANGE = "portico.events"
# Ours alone. It collects events while we are away, so delete it when you are done.
QUEUE = "subscriber.example-python"
REMEMBERED = 10_000


def main():
    parameters = pika.URLParameters(os.environ["AMQP_URL"])
    # The last events that were handled: each may come twice. Whoever keeps a database remembers the ids there, in the
    # transaction of the effect.
    seen = collections.OrderedDict()
    # A connection can always end. What was not acknowledged comes again.
    while True:
        try:
            subscribe(parameters, sys.argv[1:], seen)
        except (pika.exceptions.AMQPError, OSError) as error:
            print(f"{error!r}; trying again", file=sys.stderr)
        time.sleep(1)


def subscribe(parameters, names, seen):
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True)
    for name in names:
        channel.queue_bind(QUEUE, EXCHANGE, routing_key=name)
    channel.basic_qos(prefetch_count=100)
    for delivery, _properties, body in channel.consume(QUEUE):
        handle(json.loads(body), seen)
        # After the effect, not before: else a crash in between loses the event.
        channel.basic_ack(delivery.delivery_tag)


def handle(event, seen):
    if event["id"] in seen:
        return
    print(event["type"], event["subject"], event["sequence"], event["id"], flush=True)
    seen[event["id"]] = True
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
