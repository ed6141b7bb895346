package sqlstore

import (
	"context"
	"time"

	"gatehouse.internal/shared/sqldb"
)

// NoteEncryptionKey notes since when the key of this name is in use. It changes
// nothing if that one is in use already.
func (s *Store) NoteEncryptionKey(ctx context.Context, name string, now time.Time) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO encryption_key (id, name, since) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, since = excluded.since WHERE encryption_key.name <> excluded.name`,
		name, sqldb.Micros(now))
	return failed("note encryption key", err)
}

// EncryptionKey returns the name of the key in use, and since when it is. Before
// any was noted it is fault.NotFound.
func (r reader) EncryptionKey(ctx context.Context) (name string, since time.Time, err error) {
	var row struct {
		Name  string `db:"name"`
		Since int64  `db:"since"`
	}
	if err := r.q.GetContext(ctx, &row, `SELECT name, since FROM encryption_key WHERE id = 1`); err != nil {
		return "", time.Time{}, failed("read name of encryption key", err)
	}
	return row.Name, sqldb.Time(row.Since), nil
}

// ErasuresBefore counts deleted accounts whose events are not all pseudonymised
// and that were deleted before a time.
func (s *Store) ErasuresBefore(ctx context.Context, before time.Time) (n int, err error) {
	err = s.db.GetContext(ctx, &n, `SELECT COUNT(*) FROM audit_erasures WHERE created_at < $1`, sqldb.Micros(before))
	return n, failed("count accounts to pseudonymise", err)
}

// NotRefreshed counts live sessions with a refresh token from before a time; see
// auth.Store.
func (s *Store) NotRefreshed(ctx context.Context, before, now time.Time) (n int, until time.Time, err error) {
	var row struct {
		N     int   `db:"n"`
		Until int64 `db:"until"`
	}
	err = s.db.GetContext(ctx, &row, `SELECT COUNT(*) AS n, COALESCE(MAX(idle_expires_at), 0) AS until FROM sessions
		WHERE ended_at = 0 AND idle_expires_at > $1 AND expires_at > $1 AND created_at < $2 AND rotated_at < $2`,
		sqldb.Micros(now), sqldb.Micros(before))
	return row.N, sqldb.Time(row.Until), failed("count sessions that were not refreshed", err)
}
