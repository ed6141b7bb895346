package sqlstore

import (
	"context"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// passkeyRow is a row of passkeys.
type passkeyRow struct {
	ID           string `db:"id"`
	UserID       string `db:"user_id"`
	CredentialID []byte `db:"credential_id"`
	Record       []byte `db:"record"`
	Name         string `db:"name"`
	Synced       bool   `db:"synced"`
	Cloned       bool   `db:"cloned"`
	CreatedAt    int64  `db:"created_at"`
	LastUsedAt   int64  `db:"last_used_at"`

	PasswordFirst bool `db:"password_first"`
}

func (r passkeyRow) passkey() auth.Passkey {
	return auth.Passkey{ID: r.ID, UserID: r.UserID, CredentialID: r.CredentialID, Record: r.Record, Name: r.Name,
		Synced: r.Synced, Cloned: r.Cloned, PasswordFirst: r.PasswordFirst, CreatedAt: sqldb.Time(r.CreatedAt), LastUsedAt: sqldb.Time(r.LastUsedAt)}
}

const selectPasskey = `SELECT id, user_id, credential_id, record, name, synced, cloned, created_at, last_used_at, password_first FROM passkeys`

// Passkeys returns all passkeys of the user, oldest first.
func (r reader) Passkeys(ctx context.Context, userID string) ([]auth.Passkey, error) {
	var rows []passkeyRow
	if err := r.q.SelectContext(ctx, &rows, selectPasskey+` WHERE user_id = $1 ORDER BY id`, userID); err != nil {
		return nil, failed("list passkeys", err)
	}
	out := make([]auth.Passkey, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.passkey())
	}
	return out, nil
}

// PasskeyByCredential returns the passkey with the authenticator's id.
func (r reader) PasskeyByCredential(ctx context.Context, credentialID []byte) (auth.Passkey, error) {
	var row passkeyRow
	if err := r.q.GetContext(ctx, &row, selectPasskey+` WHERE credential_id = $1`, credentialID); err != nil {
		return auth.Passkey{}, failed("find passkey", err)
	}
	return row.passkey(), nil
}

// AddPasskey adds a passkey, or fails with fault.Conflict for one that is known.
func (t *tx) AddPasskey(ctx context.Context, p auth.Passkey) error {
	n, err := t.exec(ctx, "add passkey", `INSERT INTO passkeys (id, user_id, credential_id, record, name, synced, cloned, created_at, last_used_at, password_first)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (credential_id) DO NOTHING`,
		p.ID, p.UserID, p.CredentialID, p.Record, p.Name, p.Synced, p.Cloned, sqldb.Micros(p.CreatedAt), sqldb.Micros(p.LastUsedAt), p.PasswordFirst)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "")
	}
	return err
}

// SavePasskey writes what changes in a passkey's life.
func (t *tx) SavePasskey(ctx context.Context, p auth.Passkey) error {
	n, err := t.exec(ctx, "save passkey", `UPDATE passkeys SET record = $1, name = $2, cloned = $3, last_used_at = $4, password_first = $5 WHERE id = $6`,
		p.Record, p.Name, p.Cloned, sqldb.Micros(p.LastUsedAt), p.PasswordFirst, p.ID)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "")
	}
	return err
}

// DeletePasskey removes a passkey of the user and reports whether it was there.
func (t *tx) DeletePasskey(ctx context.Context, userID, id string) (bool, error) {
	n, err := t.exec(ctx, "delete passkey", `DELETE FROM passkeys WHERE id = $1 AND user_id = $2`, id, userID)
	return n > 0, err
}

// HoldPasskeys has the user's passkeys sign in beside the password first.
func (t *tx) HoldPasskeys(ctx context.Context, userID string) (int, error) {
	return t.exec(ctx, "hold passkeys", `UPDATE passkeys SET password_first = TRUE WHERE user_id = $1`, userID)
}

// DeletePasskeys removes all passkeys of the user.
func (t *tx) DeletePasskeys(ctx context.Context, userID string) error {
	_, err := t.exec(ctx, "delete passkeys", `DELETE FROM passkeys WHERE user_id = $1`, userID)
	return err
}

// SaveChallengeData writes what a challenge has to remember.
func (t *tx) SaveChallengeData(ctx context.Context, hash, data []byte) error {
	_, err := t.exec(ctx, "save challenge", `UPDATE challenges SET data = $1 WHERE hash = $2`, data, hash)
	return err
}
