-- The rows of one createOrder of two lines, in one transaction: the order and its lines, and what the outbox tells.
\set user random(0, 999)
\set number random(1, 281474976710655)
BEGIN;
WITH placed AS (
    INSERT INTO orders (id, user_id, status, total, currency, shipping_address, notes, version, created_at, updated_at)
    VALUES (('01940000-0000-7000-8000-' || lpad(to_hex(:number::bigint), 12, '0'))::uuid,
            ('01920000-0000-7000-8000-' || lpad(to_hex(:user::bigint), 12, '0'))::uuid,
            'PENDING', 3202, 'USD', '1 Long Street, Springfield', 'Please ring twice', 1, now(), now())
)
INSERT INTO order_items (order_id, position, product_id, product_name, quantity, unit_price)
VALUES (('01940000-0000-7000-8000-' || lpad(to_hex(:number::bigint), 12, '0'))::uuid,
        1, 'bench-0', 'Product 0', 1, 1000),
       (('01940000-0000-7000-8000-' || lpad(to_hex(:number::bigint), 12, '0'))::uuid,
        2, 'bench-1', 'Product 1', 2, 1101);
INSERT INTO outbox (id, name, subject, sequence, data, occurred_at)
VALUES (gen_random_uuid(), 'order.created',
        ('01940000-0000-7000-8000-' || lpad(to_hex(:number::bigint), 12, '0'))::uuid, 1, :event::text::jsonb, now());
COMMIT;
