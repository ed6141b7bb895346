-- +goose Up
-- What the service says of the audit trail beside its ends, with seals: when it
-- was kept last, and the encrypted key by which it knows its own pseudonyms.
ALTER TABLE audit_chain ADD COLUMN kept_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_chain ADD COLUMN kept_seal TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_chain ADD COLUMN eraser_key TEXT NOT NULL DEFAULT '';
-- An order to pseudonymise is one with the seal of the service.
ALTER TABLE audit_erasures ADD COLUMN seal TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_erasures_by_time ON audit_erasures (created_at, user_id);

-- +goose Down
DROP INDEX audit_erasures_by_time;
ALTER TABLE audit_erasures DROP COLUMN seal;
ALTER TABLE audit_chain DROP COLUMN eraser_key;
ALTER TABLE audit_chain DROP COLUMN kept_seal;
ALTER TABLE audit_chain DROP COLUMN kept_at;
