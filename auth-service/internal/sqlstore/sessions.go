package sqlstore

import (
	"context"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// sessionRow is a row of sessions.
type sessionRow struct {
	ID              string `db:"id"`
	UserID          string `db:"user_id"`
	ClientID        string `db:"client_id"`
	Methods         string `db:"methods"`
	CreatedAt       int64  `db:"created_at"`
	LastSeenAt      int64  `db:"last_seen_at"`
	IdleExpiresAt   int64  `db:"idle_expires_at"`
	ExpiresAt       int64  `db:"expires_at"`
	AccessExpiresAt int64  `db:"access_expires_at"`
	EndedAt         int64  `db:"ended_at"`
	EndCause        string `db:"end_cause"`
	Generation      int64  `db:"generation"`
	Refresh         []byte `db:"refresh_hash"`
	Retired         []byte `db:"retired_hash"`
	RotatedAt       int64  `db:"rotated_at"`
	Address         string `db:"address"`
	UserAgent       string `db:"user_agent"`
}

func (r sessionRow) session() auth.Session {
	return auth.Session{
		ID: r.ID, UserID: r.UserID, ClientID: r.ClientID, Methods: words(r.Methods),
		CreatedAt: sqldb.Time(r.CreatedAt), LastSeenAt: sqldb.Time(r.LastSeenAt),
		IdleExpiresAt: sqldb.Time(r.IdleExpiresAt), ExpiresAt: sqldb.Time(r.ExpiresAt),
		AccessExpiresAt: sqldb.Time(r.AccessExpiresAt), EndedAt: sqldb.Time(r.EndedAt), EndCause: r.EndCause,
		Generation: uint32(r.Generation), Refresh: r.Refresh, Retired: r.Retired, RotatedAt: sqldb.Time(r.RotatedAt),
		Address: r.Address, UserAgent: r.UserAgent,
	}
}

const selectSession = `SELECT id, user_id, client_id, methods, created_at, last_seen_at, idle_expires_at, expires_at,
	access_expires_at, ended_at, end_cause, generation, refresh_hash, retired_hash, rotated_at, address, user_agent FROM sessions`

// Session returns a session, also one that has ended or expired.
func (r reader) Session(ctx context.Context, id string) (auth.Session, error) {
	var row sessionRow
	if err := r.q.GetContext(ctx, &row, selectSession+` WHERE id = $1`, id); err != nil {
		return auth.Session{}, failed("read session", err)
	}
	return row.session(), nil
}

// LiveSessions returns live or ended sessions of a user, newest first.
func (r reader) LiveSessions(ctx context.Context, q auth.LiveQuery) ([]auth.Session, error) {
	c := conditions{}
	c.add(`user_id = `, q.UserID)
	at := c.value(sqldb.Micros(q.At))
	live := `(ended_at = 0 AND idle_expires_at > ` + at + ` AND expires_at > ` + at + `)`
	if q.Ended {
		live = `NOT ` + live
	}
	c.parts = append(c.parts, live)
	if q.After != "" {
		c.add(`id < `, q.After)
	}
	var rows []sessionRow
	query := selectSession + c.where() + ` ORDER BY id DESC LIMIT ` + c.value(q.Limit)
	if err := r.q.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, failed("list sessions", err)
	}
	out := make([]auth.Session, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.session())
	}
	return out, nil
}

// AddSession adds a session.
func (t *tx) AddSession(ctx context.Context, s auth.Session) error {
	_, err := t.exec(ctx, "add session", `INSERT INTO sessions (id, user_id, client_id, methods, created_at, last_seen_at,
		idle_expires_at, expires_at, access_expires_at, ended_at, end_cause, generation, refresh_hash, retired_hash, rotated_at,
		address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		s.ID, s.UserID, s.ClientID, list(s.Methods), sqldb.Micros(s.CreatedAt), sqldb.Micros(s.LastSeenAt),
		sqldb.Micros(s.IdleExpiresAt), sqldb.Micros(s.ExpiresAt), sqldb.Micros(s.AccessExpiresAt),
		sqldb.Micros(s.EndedAt), s.EndCause, int64(s.Generation), s.Refresh, s.Retired, sqldb.Micros(s.RotatedAt),
		s.Address, s.UserAgent)
	return err
}

// SaveSession writes what changes in a session's life.
func (t *tx) SaveSession(ctx context.Context, s auth.Session) error {
	n, err := t.exec(ctx, "save session", `UPDATE sessions SET last_seen_at = $1, idle_expires_at = $2, expires_at = $3,
		access_expires_at = $4, ended_at = $5, end_cause = $6, generation = $7, refresh_hash = $8, retired_hash = $9,
		rotated_at = $10, address = $11, user_agent = $12, methods = $13 WHERE id = $14`,
		sqldb.Micros(s.LastSeenAt), sqldb.Micros(s.IdleExpiresAt), sqldb.Micros(s.ExpiresAt),
		sqldb.Micros(s.AccessExpiresAt), sqldb.Micros(s.EndedAt), s.EndCause, int64(s.Generation), s.Refresh, s.Retired,
		sqldb.Micros(s.RotatedAt), s.Address, s.UserAgent, list(s.Methods), s.ID)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "")
	}
	return err
}

// LockLostSessions makes transactions follow one another that revoke sessions
// which the database does not know.
func (t *tx) LockLostSessions(ctx context.Context) error { return t.lockName(ctx, "lost_sessions") }

// EndSessions ends the sessions of a user that have not ended yet.
func (t *tx) EndSessions(ctx context.Context, userID, cause string, at time.Time) (int, error) {
	return t.exec(ctx, "end sessions", `UPDATE sessions SET ended_at = $1, end_cause = $2 WHERE user_id = $3 AND ended_at = 0`,
		sqldb.Micros(at), cause, userID)
}

// LatestAccess returns when the user's last access token expires.
func (t *tx) LatestAccess(ctx context.Context, userID string) (time.Time, error) {
	var us int64
	err := t.tx.GetContext(ctx, &us, `SELECT COALESCE(MAX(access_expires_at), 0) FROM sessions WHERE user_id = $1`, userID)
	return sqldb.Time(us), failed("find the last access token", err)
}
