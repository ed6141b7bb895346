package sqlstore

import (
	"context"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/sqldb"
)

// totpRow is a row of totp_factors.
type totpRow struct {
	UserID       string `db:"user_id"`
	Sealed       []byte `db:"sealed"`
	CreatedAt    int64  `db:"created_at"`
	ConfirmedAt  int64  `db:"confirmed_at"`
	LastStep     int64  `db:"last_step"`
	Wrong        int64  `db:"wrong"`
	BlockedUntil int64  `db:"blocked_until"`
}

const selectTOTP = `SELECT user_id, sealed, created_at, confirmed_at, last_step, wrong, blocked_until FROM totp_factors`

func (x totpRow) factor() auth.TOTP {
	return auth.TOTP{UserID: x.UserID, Sealed: x.Sealed, CreatedAt: sqldb.Time(x.CreatedAt), ConfirmedAt: sqldb.Time(x.ConfirmedAt),
		LastStep: x.LastStep, Wrong: int(x.Wrong), BlockedUntil: sqldb.Time(x.BlockedUntil)}
}

// TOTP returns the user's authenticator app.
func (r reader) TOTP(ctx context.Context, userID string) (auth.TOTP, error) {
	var x totpRow
	if err := r.q.GetContext(ctx, &x, selectTOTP+` WHERE user_id = $1`, userID); err != nil {
		return auth.TOTP{}, failed("read authenticator app", err)
	}
	return x.factor(), nil
}

// TOTPs returns authenticator apps by user.
func (r reader) TOTPs(ctx context.Context, after string, limit int) ([]auth.TOTP, error) {
	var rows []totpRow
	if err := r.q.SelectContext(ctx, &rows, selectTOTP+` WHERE user_id > $1 ORDER BY user_id LIMIT $2`, after, limit); err != nil {
		return nil, failed("list authenticator apps", err)
	}
	out := make([]auth.TOTP, 0, len(rows))
	for _, x := range rows {
		out = append(out, x.factor())
	}
	return out, nil
}

// SaveTOTP adds the user's authenticator app or replaces it.
func (t *tx) SaveTOTP(ctx context.Context, f auth.TOTP) error {
	_, err := t.exec(ctx, "save authenticator app", `INSERT INTO totp_factors (user_id, sealed, created_at, confirmed_at, last_step, wrong, blocked_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at,
		confirmed_at = excluded.confirmed_at, last_step = excluded.last_step, wrong = excluded.wrong, blocked_until = excluded.blocked_until`,
		f.UserID, f.Sealed, sqldb.Micros(f.CreatedAt), sqldb.Micros(f.ConfirmedAt), f.LastStep, int64(f.Wrong), sqldb.Micros(f.BlockedUntil))
	return err
}

// DeleteTOTP removes the user's authenticator app and reports whether there was
// one.
func (t *tx) DeleteTOTP(ctx context.Context, userID string) (bool, error) {
	n, err := t.exec(ctx, "delete authenticator app", `DELETE FROM totp_factors WHERE user_id = $1`, userID)
	return n > 0, err
}

// RecoveryCodes returns how many recovery codes the user has left.
func (r reader) RecoveryCodes(ctx context.Context, userID string) (int, error) {
	var n int
	err := r.q.GetContext(ctx, &n, `SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1`, userID)
	return n, failed("count recovery codes", err)
}

// SetRecoveryCodes replaces the user's recovery codes.
func (t *tx) SetRecoveryCodes(ctx context.Context, userID string, hashes [][]byte) error {
	if _, err := t.exec(ctx, "delete recovery codes", `DELETE FROM recovery_codes WHERE user_id = $1`, userID); err != nil {
		return err
	}
	for _, hash := range hashes {
		if _, err := t.exec(ctx, "add recovery code", `INSERT INTO recovery_codes (hash, user_id) VALUES ($1, $2)`, hash, userID); err != nil {
			return err
		}
	}
	return nil
}

// TakeRecoveryCode deletes a code and reports whether it was there.
func (t *tx) TakeRecoveryCode(ctx context.Context, userID string, hash []byte) (bool, error) {
	n, err := t.exec(ctx, "take recovery code", `DELETE FROM recovery_codes WHERE hash = $1 AND user_id = $2`, hash, userID)
	return n > 0, err
}

// challengeRow is a row of challenges.
type challengeRow struct {
	Hash      []byte `db:"hash"`
	Purpose   string `db:"purpose"`
	UserID    string `db:"user_id"`
	SessionID string `db:"session_id"`
	Version   int64  `db:"version"`
	Methods   string `db:"methods"`
	Data      []byte `db:"data"`
	Attempts  int64  `db:"attempts"`
	CreatedAt int64  `db:"created_at"`
	ExpiresAt int64  `db:"expires_at"`
}

// Challenge returns the challenge with the hash.
func (r reader) Challenge(ctx context.Context, hash []byte) (auth.Challenge, error) {
	var x challengeRow
	err := r.q.GetContext(ctx, &x, `SELECT hash, purpose, user_id, session_id, version, methods, data, attempts, created_at, expires_at
		FROM challenges WHERE hash = $1`, hash)
	if err != nil {
		return auth.Challenge{}, failed("read challenge", err)
	}
	return auth.Challenge{Hash: x.Hash, Purpose: x.Purpose, UserID: x.UserID, SessionID: x.SessionID,
		Version: uint64(max(0, x.Version)), Methods: words(x.Methods), Data: x.Data, Attempts: int(x.Attempts),
		CreatedAt: sqldb.Time(x.CreatedAt), ExpiresAt: sqldb.Time(x.ExpiresAt)}, nil
}

// AddChallenge adds a challenge and forgets all but the newest of the user
// for the same purpose.
func (t *tx) AddChallenge(ctx context.Context, c auth.Challenge, keep int) error {
	if _, err := t.exec(ctx, "add challenge", `INSERT INTO challenges (hash, purpose, user_id, session_id, version, methods, data, attempts,
		created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.Hash, c.Purpose, c.UserID, c.SessionID, int64(c.Version), list(c.Methods), c.Data, int64(c.Attempts),
		sqldb.Micros(c.CreatedAt), sqldb.Micros(c.ExpiresAt)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "forget challenges", `DELETE FROM challenges WHERE user_id = $1 AND purpose = $2 AND hash NOT IN
		(SELECT hash FROM challenges WHERE user_id = $1 AND purpose = $2 ORDER BY created_at DESC, hash LIMIT $3)`, c.UserID, c.Purpose, keep)
	return err
}

// SaveAttempts writes how many wrong answers a challenge got.
func (t *tx) SaveAttempts(ctx context.Context, hash []byte, attempts int) error {
	_, err := t.exec(ctx, "count wrong answers", `UPDATE challenges SET attempts = $1 WHERE hash = $2`, int64(attempts), hash)
	return err
}

// TakeChallenge deletes a challenge and reports whether it was there.
func (t *tx) TakeChallenge(ctx context.Context, hash []byte) (bool, error) {
	n, err := t.exec(ctx, "take challenge", `DELETE FROM challenges WHERE hash = $1`, hash)
	return n > 0, err
}

// DropChallenges deletes all challenges of the user, but not what must not come
// again.
func (t *tx) DropChallenges(ctx context.Context, userID string) error {
	_, err := t.exec(ctx, "drop challenges", `DELETE FROM challenges WHERE user_id = $1 AND purpose <> $2`, userID, auth.ChallengeUsed)
	return err
}
