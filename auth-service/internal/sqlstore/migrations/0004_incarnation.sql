-- +goose Up
-- Which running database numbered last. A database that was restored, failed
-- over or restarted is another one, and opens a new epoch before it numbers.
ALTER TABLE revocation_state ADD COLUMN incarnation TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE revocation_state DROP COLUMN incarnation;
