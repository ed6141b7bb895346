-- +goose Up
-- Whoever repeats a revoking call waits for what the first one has written.
CREATE INDEX revocations_by_subject ON revocations (subject);
DROP INDEX revocations_of_tokens;

-- +goose Down
CREATE INDEX revocations_of_tokens ON revocations (subject) WHERE kind = 1;
DROP INDEX revocations_by_subject;
