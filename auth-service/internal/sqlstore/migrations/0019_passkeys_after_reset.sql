-- +goose Up
ALTER TABLE passkeys ADD COLUMN password_first BOOLEAN NOT NULL DEFAULT FALSE; -- must be used beside the password before it signs in alone

-- +goose Down
ALTER TABLE passkeys DROP COLUMN password_first;
