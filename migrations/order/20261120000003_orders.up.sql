-- What can be ordered. Products are withdrawn (active = false) and never deleted.
CREATE TABLE products (
    -- By bytes, so that pages of the catalogue have one order on every machine.
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- In the smallest unit of the currency.
    unit_price bigint NOT NULL,
    currency text NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT products_pkey PRIMARY KEY (id),
    CONSTRAINT products_id_shape CHECK (id ~ '^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$'),
    CONSTRAINT products_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    CONSTRAINT products_unit_price_not_negative CHECK (unit_price >= 0),
    CONSTRAINT products_currency_shape CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE orders (
    -- UUIDv7: the order of the ids is that of the times.
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    status text NOT NULL,
    total bigint NOT NULL,
    -- That of the total and of every item.
    currency text NOT NULL,
    shipping_address text NOT NULL,
    notes text NOT NULL,
    -- Grows by one with each change, under the row's lock: the sequence of its events.
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT orders_pkey PRIMARY KEY (id),
    CONSTRAINT orders_status_known
        CHECK (status IN ('PENDING', 'CONFIRMED', 'SHIPPED', 'DELIVERED', 'CANCELLED')),
    CONSTRAINT orders_total_not_negative CHECK (total >= 0),
    CONSTRAINT orders_currency_shape CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_shipping_address_length CHECK (char_length(shipping_address) BETWEEN 1 AND 500),
    CONSTRAINT orders_notes_length CHECK (char_length(notes) <= 2000),
    CONSTRAINT orders_version_positive CHECK (version > 0),
    CONSTRAINT orders_deleted_at_the_end CHECK (deleted_at IS NULL OR status IN ('CANCELLED', 'DELIVERED'))
);

-- A page of one user's orders, newest first, and a page of all orders in one status.
CREATE INDEX orders_by_user ON orders (user_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX orders_by_status ON orders (status, id DESC) WHERE deleted_at IS NULL;

-- The lines of an order, as they were when it was placed. There is no foreign key to products: it would lock the row
-- of a well-selling product in every order, and products are never deleted.
CREATE TABLE order_items (
    order_id uuid NOT NULL,
    -- From 1, in the order in which the lines were given.
    position smallint NOT NULL,
    product_id text NOT NULL,
    product_name text NOT NULL,
    quantity integer NOT NULL,
    unit_price bigint NOT NULL,
    CONSTRAINT order_items_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_items_order_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_items_position_range CHECK (position BETWEEN 1 AND 100),
    CONSTRAINT order_items_quantity_range CHECK (quantity BETWEEN 1 AND 10000),
    CONSTRAINT order_items_unit_price_not_negative CHECK (unit_price >= 0)
);
