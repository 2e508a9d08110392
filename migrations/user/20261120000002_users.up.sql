-- Accounts.
CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    -- As it was typed; see users_email_unique.
    email text NOT NULL CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    -- argon2id, as a PHC string.
    password_hash text NOT NULL,
    first_name text NOT NULL CONSTRAINT users_first_name_length CHECK (char_length(first_name) BETWEEN 1 AND 100),
    last_name text NOT NULL CONSTRAINT users_last_name_length CHECK (char_length(last_name) BETWEEN 1 AND 100),
    role text NOT NULL CONSTRAINT users_role_known CHECK (role IN ('CUSTOMER', 'ADMIN')),
    -- An account that is not active can't sign in.
    active boolean NOT NULL,
    -- Counts the changes that events tell of.
    version bigint NOT NULL CONSTRAINT users_version_positive CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Every read leaves deleted ones out.
    deleted_at timestamptz
);

-- One account for each email, in whatever case; a deleted account frees its email. It finds the account of a login too.
CREATE UNIQUE INDEX users_email_unique ON users (lower(email)) WHERE deleted_at IS NULL;

-- Whether an admin is the last one.
CREATE INDEX users_active_admins ON users (id) WHERE role = 'ADMIN' AND active AND deleted_at IS NULL;
