-- +goose Up
-- Accounts of programs, and their secrets.
CREATE TABLE service_accounts (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    roles       TEXT NOT NULL,   -- sorted, separated by commas
    version     BIGINT NOT NULL, -- of tokens
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE service_secrets (
    id          TEXT PRIMARY KEY, -- the session of tokens that are issued for it
    account_id  TEXT NOT NULL REFERENCES service_accounts (id) ON DELETE CASCADE,
    secret_hash BYTEA NOT NULL UNIQUE,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX service_secrets_by_account ON service_secrets (account_id, id);

-- +goose Down
DROP TABLE service_secrets;
DROP TABLE service_accounts;
