-- +goose Up
-- Users whose password hash was imported, until they sign in.
CREATE INDEX users_bcrypt ON users (password_hash) WHERE substr(password_hash, 1, 2) = '$2';

-- +goose Down
DROP INDEX users_bcrypt;
