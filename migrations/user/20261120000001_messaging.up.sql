-- The same in every database: what crates/messaging rests on.

-- Events that are still to be told. A row is written in the transaction of what it tells, and nowhere else.
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    -- Only for a fair order of work: positions are not given in the order of the commits.
    position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    -- The aggregate that it tells of, and that one's version.
    subject uuid NOT NULL,
    sequence bigint NOT NULL,
    data jsonb NOT NULL,
    traceparent text,
    occurred_at timestamptz NOT NULL,
    published_at timestamptz
);

-- The relay's way in: it holds the rows that wait, however many published ones lie beside them.
CREATE INDEX outbox_unpublished ON outbox (position) WHERE published_at IS NULL;

-- Events whose effect is in this database. Written in the transaction of the effect.
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);

-- Events that a consumer could not handle, while the in-process bus stands in for RabbitMQ's dead-letter queues.
CREATE TABLE dead_letters (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    event jsonb NOT NULL,
    reason text NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
