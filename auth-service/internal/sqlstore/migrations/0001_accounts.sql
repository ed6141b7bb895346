-- +goose Up
-- One text for PostgreSQL and SQLite: see shared/sqldb. Times are microseconds,
-- and 0 is a time that has not come.

CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    email          TEXT NOT NULL UNIQUE,
    email_verified BOOLEAN NOT NULL,
    roles          TEXT NOT NULL, -- sorted, separated by commas
    administrator  BOOLEAN NOT NULL, -- whether roles holds admin
    status         TEXT NOT NULL,
    password_hash  TEXT NOT NULL,
    first_name     TEXT NOT NULL,
    last_name      TEXT NOT NULL,
    version        BIGINT NOT NULL, -- of tokens
    revision       BIGINT NOT NULL, -- of the account, for its events
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    last_login_at  BIGINT NOT NULL
);
CREATE INDEX users_administrators ON users (id) WHERE administrator;

CREATE TABLE sessions (
    id                TEXT PRIMARY KEY,
    user_id           TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id         TEXT NOT NULL,
    methods           TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    last_seen_at      BIGINT NOT NULL,
    idle_expires_at   BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    access_expires_at BIGINT NOT NULL,
    ended_at          BIGINT NOT NULL,
    end_cause         TEXT NOT NULL,
    generation        BIGINT NOT NULL, -- number of the newest refresh token
    refresh_hash      BYTEA NOT NULL,  -- its SHA-256
    retired_hash      BYTEA,           -- that of the one before it
    rotated_at        BIGINT NOT NULL,
    address           TEXT NOT NULL,
    user_agent        TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE mail_tokens (
    hash       BYTEA PRIMARY KEY,
    purpose    TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mail_tokens_by_user ON mail_tokens (user_id, purpose);
CREATE INDEX mail_tokens_by_end ON mail_tokens (expires_at);

-- Letters that somebody asked for, so that nobody gets too many.
CREATE TABLE mail_notes (
    id        TEXT PRIMARY KEY,
    recipient BYTEA NOT NULL, -- SHA-256 of the address
    sent_at   BIGINT NOT NULL
);
CREATE INDEX mail_notes_by_recipient ON mail_notes (recipient, sent_at);
CREATE INDEX mail_notes_by_time ON mail_notes (sent_at);

CREATE TABLE past_passwords (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX past_passwords_by_user ON past_passwords (user_id, id);

CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    event      TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    target_id  TEXT NOT NULL,
    session_id TEXT NOT NULL,
    address    TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_actor ON audit (actor_id, at, id);
CREATE INDEX audit_by_target ON audit (target_id, at, id);
CREATE INDEX audit_by_event ON audit (event, at, id);

-- Rows to lock where there is no row of one's own: see Store.lockName.
CREATE TABLE locks (name TEXT PRIMARY KEY);
INSERT INTO locks (name) VALUES ('administrators'), ('signing_keys');

-- +goose Down
DROP TABLE locks;
DROP TABLE audit;
DROP TABLE past_passwords;
DROP TABLE mail_notes;
DROP TABLE mail_tokens;
DROP TABLE sessions;
DROP TABLE users;
