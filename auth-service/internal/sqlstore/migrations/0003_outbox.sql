-- +goose Up
-- The table of shared/outbox (outbox.Schema).
CREATE TABLE outbox (
	id         TEXT PRIMARY KEY, -- UUIDv7, in the order of creation
	topic      TEXT NOT NULL,    -- tells Deliver what to do with it
	payload    BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	attempts   BIGINT NOT NULL,
	next_at    BIGINT NOT NULL,  -- not before this time; 0 for a new message
	last_error TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_at, id);

-- +goose Down
DROP TABLE outbox;
