-- +goose Up
-- The revocation log. Rows come with the change that causes them; the sequencer
-- gives them their numbers once they are committed, and takes out the oldest.
CREATE TABLE revocations (
    id          TEXT PRIMARY KEY,
    number      BIGINT UNIQUE,
    kind        BIGINT NOT NULL, -- contract.RevocationKind
    subject     TEXT NOT NULL,
    min_version BIGINT NOT NULL,
    cause       TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);
CREATE INDEX revocations_unnumbered ON revocations (created_at, id) WHERE number IS NULL;
CREATE INDEX revocations_of_tokens ON revocations (subject) WHERE kind = 1;

CREATE TABLE revocation_state (
    id          BIGINT PRIMARY KEY,
    epoch       BIGINT NOT NULL,
    last_number BIGINT NOT NULL,
    published   BIGINT NOT NULL
);
INSERT INTO revocation_state (id, epoch, last_number, published) VALUES (1, 1, 0, 0);

CREATE TABLE signing_keys (
    key_id       TEXT PRIMARY KEY,
    key_use      TEXT NOT NULL,
    algorithm    TEXT NOT NULL,
    state        TEXT NOT NULL,
    sealed       BYTEA,
    public_jwk   BYTEA,
    created_at   BIGINT NOT NULL,
    activated_at BIGINT NOT NULL,
    retired_at   BIGINT NOT NULL,
    not_after    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE signing_keys;
DROP TABLE revocation_state;
DROP TABLE revocations;
