-- +goose Up
CREATE INDEX users_by_status ON users (status, created_at, id);

-- +goose Down
DROP INDEX users_by_status;
