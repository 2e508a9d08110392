-- The payment of each order. A row changes only under its own lock (SELECT ... FOR UPDATE): paying, refunding,
-- cancelling and expiring wait for each other there.
CREATE TABLE payments (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- In minor units of the currency, like the two below.
    amount bigint NOT NULL,
    -- What was given back.
    refunded bigint NOT NULL,
    -- What refunds that are under way may still give back.
    reserved bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    method text,
    -- The provider's id of the charge.
    transaction_id text,
    failure_reason text,
    paid_at timestamptz,
    -- Until when it can be paid.
    window_ends_at timestamptz NOT NULL,
    -- The charge that is under way. It stands in this row, and not in attempts alone, so that a statement that
    -- waited for the row's lock sees it: only the locked row is read again.
    charging uuid,
    -- Whether the order was cancelled: no money is kept for it.
    order_cancelled boolean NOT NULL,
    -- Given under the row's lock; the sequence of its events.
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (id),
    CONSTRAINT payments_one_per_order UNIQUE (order_id),
    CONSTRAINT payments_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT payments_refunds_within_amount
        CHECK (refunded >= 0 AND reserved >= 0 AND reserved <= amount - refunded),
    CONSTRAINT payments_currency_is_iso_4217 CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT payments_status_known
        CHECK (status IN ('PENDING', 'SUCCEEDED', 'PARTIALLY_REFUNDED', 'REFUNDED', 'CANCELLED')),
    CONSTRAINT payments_status_tells_of_refunds CHECK (
        CASE status
            WHEN 'PARTIALLY_REFUNDED' THEN refunded > 0 AND refunded < amount
            WHEN 'REFUNDED' THEN refunded = amount
            ELSE refunded = 0
        END
    ),
    CONSTRAINT payments_paid_by_a_charge CHECK (
        CASE
            WHEN status IN ('PENDING', 'CANCELLED')
            THEN paid_at IS NULL AND transaction_id IS NULL AND method IS NULL AND reserved = 0
            ELSE paid_at IS NOT NULL AND transaction_id IS NOT NULL AND method IS NOT NULL
        END
    ),
    CONSTRAINT payments_charged_while_pending CHECK (charging IS NULL OR status = 'PENDING')
);

-- Ids are UUIDv7: their order is that of time.
CREATE INDEX payments_of_user ON payments (user_id, id DESC);
CREATE INDEX payments_of_status ON payments (status, id DESC);
-- The expiry's way in.
CREATE INDEX payments_to_expire ON payments (window_ends_at) WHERE status = 'PENDING' AND charging IS NULL;

-- What was asked of the payment provider. A row is committed as STARTED before the provider is called, and decided
-- after, so that a crash between loses nothing. The provider's token of the payment method is not kept.
CREATE TABLE attempts (
    -- The provider's idempotency key too.
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    amount bigint NOT NULL,
    -- Why a refund is given; empty for a charge.
    reason text NOT NULL,
    -- Who asked for it; absent for a refund that follows from the cancel of an order.
    requested_by uuid,
    idempotency_key text,
    failure_reason text,
    started_at timestamptz NOT NULL,
    -- From when on the recoverer takes an attempt that is still STARTED.
    due_at timestamptz NOT NULL,
    decided_at timestamptz,
    CONSTRAINT attempts_pkey PRIMARY KEY (id),
    CONSTRAINT attempts_of_payment FOREIGN KEY (payment_id) REFERENCES payments (id),
    CONSTRAINT attempts_kind_known CHECK (kind IN ('CHARGE', 'REFUND')),
    CONSTRAINT attempts_status_known CHECK (status IN ('STARTED', 'SUCCEEDED', 'FAILED')),
    CONSTRAINT attempts_amount_positive CHECK (amount > 0 OR (kind = 'CHARGE' AND amount = 0)),
    CONSTRAINT attempts_decided_once CHECK ((status = 'STARTED') = (decided_at IS NULL)),
    CONSTRAINT attempts_failed_for_a_reason CHECK ((status = 'FAILED') = (failure_reason IS NOT NULL)),
    CONSTRAINT attempts_key_of_someone CHECK (idempotency_key IS NULL OR requested_by IS NOT NULL)
);

CREATE INDEX attempts_by_payment ON attempts (payment_id);
-- One charge of a payment at a time.
CREATE UNIQUE INDEX attempts_one_charge ON attempts (payment_id) WHERE kind = 'CHARGE' AND status = 'STARTED';
-- And one that succeeds, ever.
CREATE UNIQUE INDEX attempts_paid_once ON attempts (payment_id) WHERE kind = 'CHARGE' AND status = 'SUCCEEDED';
-- The recoverer's way in.
CREATE INDEX attempts_undecided ON attempts (due_at) WHERE status = 'STARTED';

ALTER TABLE payments ADD CONSTRAINT payments_charging_an_attempt FOREIGN KEY (charging) REFERENCES attempts (id);
