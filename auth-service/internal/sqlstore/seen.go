package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/sqldb"
)

// seenChunk is how many sessions one transaction of SessionsSeen takes.
const seenChunk = 100

// SessionsSeen notes that the sessions were used at that time, unless a later
// use is known. It waits for no row that somebody else is changing: whoever
// does so notes a use as well.
func (s *Store) SessionsSeen(ctx context.Context, ids []string, at time.Time) error {
	skip := ""
	if s.db.Dialect() == sqldb.Postgres {
		skip = " FOR UPDATE SKIP LOCKED"
	}
	query := `UPDATE sessions SET last_seen_at = $1 WHERE id IN (SELECT id FROM sessions WHERE id = $2 AND last_seen_at < $1 AND ended_at = 0` + skip + `)`
	for chunk := range slices.Chunk(ids, seenChunk) {
		err := sqldb.InTx(ctx, s.db, func(ctx context.Context, x *sqlx.Tx) error {
			for _, id := range chunk {
				if _, err := (&tx{tx: x}).exec(ctx, "note use of session", query, sqldb.Micros(at), id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return sqldb.Unavailable(err)
		}
	}
	return nil
}
