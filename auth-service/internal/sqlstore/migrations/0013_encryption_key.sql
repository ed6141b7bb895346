-- +goose Up
-- Since when the AUTH_ENCRYPTION_KEY in use is in use. Its name tells nothing of it.
CREATE TABLE encryption_key (
    id    BIGINT PRIMARY KEY,
    name  TEXT NOT NULL,
    since BIGINT NOT NULL
);

-- +goose Down
DROP TABLE encryption_key;
