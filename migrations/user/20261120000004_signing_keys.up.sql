-- The Ed25519 keys of access tokens: one signs, those before it still verify, the one after it is published already.
CREATE TABLE signing_keys (
    -- The `kid` of the tokens that it signs.
    id text CONSTRAINT signing_keys_pkey PRIMARY KEY,
    public_key bytea NOT NULL CONSTRAINT signing_keys_public_length CHECK (octet_length(public_key) = 32),
    -- PKCS#8, sealed with AES-256-GCM under a key from the settings: the nonce, then the text and its tag.
    sealed_private_key bytea NOT NULL,
    -- From when it signs, until the next one does.
    signs_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
