-- The same in every database that has it: what runtime::idempotency rests on.

-- The first result of each idempotency key, for as long as a client may repeat its request.
CREATE TABLE idempotency (
    viewer uuid NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    -- SHA-256 of the request, to tell a repeat from another request under the same key.
    request bytea NOT NULL,
    -- The encoded response; absent while the first request runs.
    response bytea,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (viewer, operation, key)
);

CREATE INDEX idempotency_age ON idempotency (created_at);
