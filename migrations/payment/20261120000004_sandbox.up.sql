-- The memory of the sandbox provider. It stands for the outside world: it is no part of the payment service's data,
-- is written in transactions of its own that commit at once, and nothing of ours refers to it. It lives in this
-- database only so that it outlives the process, as a real provider would.
CREATE TABLE sandbox_charges (
    -- The caller's idempotency key.
    key uuid NOT NULL,
    -- Absent for a charge that was voided before it arrived.
    token text,
    amount bigint,
    currency text,
    status text NOT NULL,
    transaction_id text,
    method text,
    reason text,
    CONSTRAINT sandbox_charges_pkey PRIMARY KEY (key),
    CONSTRAINT sandbox_charges_transaction_unique UNIQUE (transaction_id),
    CONSTRAINT sandbox_charges_status_known CHECK (status IN ('SUCCEEDED', 'DECLINED', 'VOID'))
);

CREATE TABLE sandbox_refunds (
    -- The caller's idempotency key.
    key uuid NOT NULL,
    -- The charge that it gives back.
    transaction_id text NOT NULL,
    amount bigint NOT NULL,
    status text NOT NULL,
    reason text,
    CONSTRAINT sandbox_refunds_pkey PRIMARY KEY (key),
    CONSTRAINT sandbox_refunds_status_known CHECK (status IN ('SUCCEEDED', 'DECLINED'))
);

CREATE INDEX sandbox_refunds_of_charge ON sandbox_refunds (transaction_id);
