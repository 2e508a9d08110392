-- Sign-ins. A session is the family of all refresh tokens that descend from one sign-in.
CREATE TABLE sessions (
    id uuid CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT sessions_user_known REFERENCES users (id),
    created_at timestamptz NOT NULL,
    -- When a token of it was last exchanged.
    last_used_at timestamptz NOT NULL,
    revoked_at timestamptz,
    -- Counts the changes that events tell of.
    version bigint NOT NULL CONSTRAINT sessions_version_positive CHECK (version > 0)
);

-- To revoke all of a user's.
CREATE INDEX sessions_live_of_user ON sessions (user_id) WHERE revoked_at IS NULL;
-- What every process asks for each two seconds, and what is pruned.
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
-- What is pruned.
CREATE INDEX sessions_last_used ON sessions (last_used_at);

CREATE TABLE refresh_tokens (
    -- SHA-256 of the token: what stands here opens nothing.
    hash bytea CONSTRAINT refresh_tokens_pkey PRIMARY KEY
        CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(hash) = 32),
    session_id uuid NOT NULL CONSTRAINT refresh_tokens_session_known REFERENCES sessions (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    -- When it was exchanged for its successor.
    used_at timestamptz
);

-- For the cascade.
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);
-- What is pruned.
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;
