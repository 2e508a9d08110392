-- The statement with which the order service places an order of two lines, whole by itself; the products were read before.
-- As there, ids are in the order of time.
\set user random(0, 999)
WITH new AS MATERIALIZED (
    SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000000)::bigint), 16, '0')
            || lpad(to_hex(:client_id::bigint), 16, '0'))::uuid AS id,
           ('01920000-0000-7000-8000-' || lpad(to_hex(:user::bigint), 12, '0'))::uuid AS user_id
), event AS (
    INSERT INTO outbox (id, name, subject, sequence, data, occurred_at)
    SELECT id, 'order.created', id, 1, :event::text::jsonb, now() FROM new
), placed AS (
    INSERT INTO orders (id, user_id, status, total, currency, shipping_address, notes, version, created_at, updated_at)
    SELECT id, user_id, 'PENDING', 3202, 'USD', '1 Long Street, Springfield', 'Please ring twice', 1, now(), now()
    FROM new
)
INSERT INTO order_items (order_id, position, product_id, product_name, quantity, unit_price)
SELECT new.id, item.position, item.product_id, item.product_name, item.quantity, item.unit_price
FROM new
CROSS JOIN UNNEST(ARRAY['bench-0', 'bench-1'], ARRAY['Product 0', 'Product 1'], ARRAY[1, 2], ARRAY[1000, 1101]::bigint[])
     WITH ORDINALITY AS item (product_id, product_name, quantity, unit_price, position);
