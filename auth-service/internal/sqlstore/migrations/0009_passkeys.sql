-- +goose Up
CREATE TABLE passkeys (
    id            TEXT PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id BYTEA NOT NULL UNIQUE, -- as the authenticator knows it
    record        BYTEA NOT NULL,        -- the public key and its circumstances, in JSON
    name          TEXT NOT NULL,
    synced        BOOLEAN NOT NULL,
    cloned        BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL
);
CREATE INDEX passkeys_by_user ON passkeys (user_id, id);

-- +goose Down
DROP TABLE passkeys;
