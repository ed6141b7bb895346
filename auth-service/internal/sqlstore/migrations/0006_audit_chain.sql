-- +goose Up
-- The audit trail is chained: see package auth/trail. Numbers come after the
-- commit, in batches; what has none yet is found by the partial index.
ALTER TABLE audit ADD COLUMN number BIGINT;
ALTER TABLE audit ADD COLUMN salts TEXT NOT NULL DEFAULT '';  -- hexadecimal: of actor, target and origin
ALTER TABLE audit ADD COLUMN erased TEXT NOT NULL DEFAULT ''; -- their digests in place of the salts, separated by commas, or empty
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';   -- of the entry, which holds that of the one before
CREATE UNIQUE INDEX audit_by_number ON audit (number);
CREATE INDEX audit_by_address ON audit (address, at, id);
CREATE INDEX audit_without_number ON audit (at, id) WHERE number IS NULL;

-- Where the chain begins (after what was forgotten) and ends, with seals.
CREATE TABLE audit_chain (
    id           BIGINT PRIMARY KEY,
    start_number BIGINT NOT NULL,
    start_hash   TEXT NOT NULL,
    start_seal   TEXT NOT NULL,
    head_number  BIGINT NOT NULL,
    head_hash    TEXT NOT NULL,
    head_seal    TEXT NOT NULL
);
INSERT INTO audit_chain (id, start_number, start_hash, start_seal, head_number, head_hash, head_seal) VALUES (1, 0, '', '', 0, '', '');

-- Deleted accounts that are still named in the trail.
CREATE TABLE audit_erasures (
    user_id    TEXT PRIMARY KEY,
    pseudonym  TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO locks (name) VALUES ('audit');

-- +goose Down
DELETE FROM locks WHERE name = 'audit';
DROP TABLE audit_erasures;
DROP TABLE audit_chain;
DROP INDEX audit_without_number;
DROP INDEX audit_by_number;
DROP INDEX audit_by_address;
ALTER TABLE audit DROP COLUMN hash;
ALTER TABLE audit DROP COLUMN erased;
ALTER TABLE audit DROP COLUMN salts;
ALTER TABLE audit DROP COLUMN number;
