package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// userRow is a row of users.
type userRow struct {
	ID            string `db:"id"`
	Email         string `db:"email"`
	EmailVerified bool   `db:"email_verified"`
	Roles         string `db:"roles"`
	Status        string `db:"status"`
	PasswordHash  string `db:"password_hash"`
	FirstName     string `db:"first_name"`
	LastName      string `db:"last_name"`
	Version       int64  `db:"version"`
	LeastVersion  int64  `db:"least_version"`
	Revision      int64  `db:"revision"`
	CreatedAt     int64  `db:"created_at"`
	UpdatedAt     int64  `db:"updated_at"`
	LastLoginAt   int64  `db:"last_login_at"`
	MFAEnabled    bool   `db:"mfa_enabled"`
}

func (r userRow) user() auth.User {
	return auth.User{
		ID: r.ID, Email: r.Email, EmailVerified: r.EmailVerified, Roles: words(r.Roles), Status: r.Status,
		PasswordHash: r.PasswordHash, FirstName: r.FirstName, LastName: r.LastName,
		Version: uint64(max(0, r.Version)), LeastVersion: uint64(max(0, r.LeastVersion)), Revision: r.Revision,
		CreatedAt: sqldb.Time(r.CreatedAt), UpdatedAt: sqldb.Time(r.UpdatedAt), LastLoginAt: sqldb.Time(r.LastLoginAt),
		MFAEnabled: r.MFAEnabled,
	}
}

// selectUser reads a user, and with it the least version of new tokens: that of
// the epoch (contract.EpochSpan). In another incarnation of the database, which
// has no epoch of its own yet, it is half an epoch above: more than the lost
// history can have given out, and less than what the new epoch begins with.
func (r reader) selectUser() string {
	return fmt.Sprintf(`SELECT id, email, email_verified, roles, status, password_hash, first_name, last_name,
		version, revision, created_at, updated_at, last_login_at, mfa_enabled,
		(SELECT (s.epoch + CASE WHEN s.incarnation = %s THEN 0 ELSE %d END) / %d FROM revocation_state s WHERE s.id = 1) AS least_version
		FROM users`, r.incarnation, contract.EpochSpan/2, contract.EpochsPerVersion)
}

func (r reader) user(ctx context.Context, what, where, arg string) (auth.User, error) {
	var row userRow
	if err := r.q.GetContext(ctx, &row, r.selectUser()+where, arg); err != nil {
		return auth.User{}, failed(what, err)
	}
	return row.user(), nil
}

// User returns the user with the id.
func (r reader) User(ctx context.Context, id string) (auth.User, error) {
	return r.user(ctx, "read user", ` WHERE id = $1`, id)
}

// Users returns users by id.
func (r reader) Users(ctx context.Context, after string, limit int) ([]auth.User, error) {
	var rows []userRow
	if err := r.q.SelectContext(ctx, &rows, r.selectUser()+` WHERE id > $1 ORDER BY id LIMIT $2`, after, limit); err != nil {
		return nil, failed("list users", err)
	}
	out := make([]auth.User, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.user())
	}
	return out, nil
}

// UserByEmail returns the user with the address.
func (r reader) UserByEmail(ctx context.Context, email string) (auth.User, error) {
	return r.user(ctx, "read user by address", ` WHERE email = $1`, email)
}

// HasAdministrator reports whether any account has the role admin.
func (r reader) HasAdministrator(ctx context.Context) (bool, error) {
	var has bool
	err := r.q.GetContext(ctx, &has, `SELECT EXISTS (SELECT 1 FROM users WHERE administrator)`)
	return has, failed("look for an administrator", err)
}

// LockUser returns the user as of the moment the lock was got.
func (t *tx) LockUser(ctx context.Context, id string) (auth.User, error) {
	return t.user(ctx, "lock user", ` WHERE id = $1`+t.forUpdate, id)
}

// LockAdministrators makes transactions follow one another that may take an
// administrator away.
func (t *tx) LockAdministrators(ctx context.Context) error { return t.lockName(ctx, "administrators") }

// OtherAdministrators counts administrators besides id who are not locked.
func (t *tx) OtherAdministrators(ctx context.Context, id string) (int, error) {
	var n int
	err := t.tx.GetContext(ctx, &n, `SELECT COUNT(*) FROM users WHERE administrator AND status = $1 AND id <> $2`,
		contract.StatusActive, id)
	return n, failed("count administrators", err)
}

// AddUser adds a user, or fails with fault.Conflict for a taken address.
func (t *tx) AddUser(ctx context.Context, u auth.User) error {
	n, err := t.exec(ctx, "add user", `INSERT INTO users (id, email, email_verified, roles, administrator, status, password_hash,
		first_name, last_name, version, revision, created_at, updated_at, last_login_at, mfa_enabled)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (email) DO NOTHING`,
		u.ID, u.Email, u.EmailVerified, list(u.Roles), slices.Contains(u.Roles, contract.RoleAdmin), u.Status, u.PasswordHash,
		u.FirstName, u.LastName, int64(u.Version), u.Revision,
		sqldb.Micros(u.CreatedAt), sqldb.Micros(u.UpdatedAt), sqldb.Micros(u.LastLoginAt), u.MFAEnabled)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "The address is taken.")
	}
	return err
}

// SaveUser writes all fields of a user but ID and CreatedAt.
func (t *tx) SaveUser(ctx context.Context, u auth.User) error {
	n, err := t.exec(ctx, "save user", `UPDATE users SET email = $1, email_verified = $2, roles = $3, administrator = $4, status = $5,
		password_hash = $6, first_name = $7, last_name = $8, version = $9, revision = $10, updated_at = $11, last_login_at = $12,
		mfa_enabled = $13 WHERE id = $14`,
		u.Email, u.EmailVerified, list(u.Roles), slices.Contains(u.Roles, contract.RoleAdmin), u.Status,
		u.PasswordHash, u.FirstName, u.LastName, int64(u.Version), u.Revision,
		sqldb.Micros(u.UpdatedAt), sqldb.Micros(u.LastLoginAt), u.MFAEnabled, u.ID)
	if sqldb.IsUnique(err) {
		return fault.Wrap(fault.Conflict, "The address is taken.", err)
	}
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "")
	}
	return err
}

// DeleteUser removes the user with everything that belongs to it.
func (t *tx) DeleteUser(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "delete user", `DELETE FROM users WHERE id = $1`, id)
	return err
}

// AddPastPassword remembers a hash, and forgets all but the newest.
func (t *tx) AddPastPassword(ctx context.Context, p auth.PastPassword) error {
	if _, err := t.exec(ctx, "add past password", `INSERT INTO past_passwords (id, user_id, hash, created_at) VALUES ($1, $2, $3, $4)`,
		p.ID, p.UserID, p.Hash, sqldb.Micros(p.At)); err != nil {
		return err
	}
	_, err := t.exec(ctx, "forget past passwords", `DELETE FROM past_passwords WHERE user_id = $1 AND id NOT IN
		(SELECT id FROM past_passwords WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)`, p.UserID, p.Keep)
	return err
}

// PasswordChangedAt returns when the password of the account with the address
// was changed last: of earlier passwords, the newest is always remembered.
func (r reader) PasswordChangedAt(ctx context.Context, email string) (time.Time, error) {
	var at int64
	err := r.q.GetContext(ctx, &at, `SELECT COALESCE(MAX(p.created_at), 0) FROM past_passwords p
		JOIN users u ON u.id = p.user_id WHERE u.email = $1`, email)
	return sqldb.Time(at), failed("look for a change of the password", err)
}

// PastPasswords returns the newest n hashes of earlier passwords.
func (r reader) PastPasswords(ctx context.Context, userID string, n int) ([]string, error) {
	var hashes []string
	err := r.q.SelectContext(ctx, &hashes, `SELECT hash FROM past_passwords WHERE user_id = $1
		ORDER BY created_at DESC, id DESC LIMIT $2`, userID, n)
	return hashes, failed("read past passwords", err)
}
