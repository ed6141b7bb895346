-- +goose Up
-- Accounts whose address was registered again before it was confirmed.
CREATE TABLE contested_addresses (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    since   BIGINT NOT NULL
);

-- +goose Down
DROP TABLE contested_addresses;
