-- +goose Up
-- Second factors. The row of the user is the lock for all of them.
ALTER TABLE users ADD COLUMN mfa_enabled BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE totp_factors (
    user_id       TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed        BYTEA NOT NULL, -- the secret, encrypted
    created_at    BIGINT NOT NULL,
    confirmed_at  BIGINT NOT NULL, -- 0 until a first code was shown
    last_step     BIGINT NOT NULL,
    wrong         BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    hash    BYTEA PRIMARY KEY, -- SHA-256 of user and code
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_by_user ON recovery_codes (user_id);

CREATE TABLE challenges (
    hash       BYTEA PRIMARY KEY, -- SHA-256 of the token
    purpose    TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    version    BIGINT NOT NULL, -- of the user's tokens
    methods    TEXT NOT NULL,
    data       BYTEA,
    attempts   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenges_by_user ON challenges (user_id, created_at);
CREATE INDEX challenges_by_end ON challenges (expires_at);

-- +goose Down
DROP TABLE challenges;
DROP TABLE recovery_codes;
DROP TABLE totp_factors;
ALTER TABLE users DROP COLUMN mfa_enabled;
