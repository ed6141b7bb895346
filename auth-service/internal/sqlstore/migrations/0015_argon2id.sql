-- +goose Up
-- Which parameters the stored hashes of Argon2id have: hashes.go asks by the same expression.
CREATE INDEX users_argon2id ON users (rtrim(rtrim(rtrim(password_hash,
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'), '$'),
    'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'))
    WHERE substr(password_hash, 1, 10) = '$argon2id$';

-- +goose Down
DROP INDEX users_argon2id;
