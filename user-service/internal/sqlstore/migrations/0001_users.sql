-- +goose Up
CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    email          TEXT NOT NULL,
    email_verified BOOLEAN NOT NULL,
    roles          TEXT NOT NULL,   -- a JSON array
    status         TEXT NOT NULL,   -- 'deleted' for what only remembers a deletion
    created_at     BIGINT NOT NULL, -- microseconds since 1970 in UTC, here and below; 0 for never
    changed_at     BIGINT NOT NULL,
    last_login_at  BIGINT NOT NULL,
    version        BIGINT NOT NULL,
    event_id       TEXT NOT NULL,
    first_name     TEXT,            -- null until anybody gives one
    last_name      TEXT,
    display_name   TEXT NOT NULL,
    locale         TEXT NOT NULL,
    time_zone      TEXT NOT NULL,
    avatar_url     TEXT NOT NULL,
    updated_at     BIGINT NOT NULL,
    search         TEXT NOT NULL    -- what queries are looked for in, folded
);

CREATE INDEX users_in_order ON users (created_at, id) WHERE status <> 'deleted';

-- Tells one database from the next, also from a new one with the same name.
CREATE TABLE installation (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL
);

-- +goose Down
DROP TABLE installation;
DROP TABLE users;
