package outbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/sqldb"
)

// row is a message in the hands of this relay, until its lease ends.
type row struct {
	ID        string `db:"id"`
	Topic     string `db:"topic"`
	Payload   []byte `db:"payload"`
	CreatedAt int64  `db:"created_at"`
	Attempts  int64  `db:"attempts"` // this one included
	Lease     int64  `db:"next_at"`
}

// claim takes up to limit messages that are due. Taking is an update that sets
// the end of the lease, so no transaction is open while they are delivered;
// the count of attempts is raised at once, so that a message which kills the
// process is parked in the end as well.
// It tells whether there may be more.
func (r *Relay) claim(ctx context.Context, limit int) (rows []row, more bool, err error) {
	now := r.Now()
	// Most of the time the oldest due time comes first, and new messages have
	// none. Now and then only those are taken that had to wait, so that a
	// stream of new ones cannot keep them out for ever.
	r.claims++
	floor := int64(0)
	if r.claims%8 == 0 {
		floor = 1
	}
	skip := ""
	if r.DB.Dialect() == sqldb.Postgres {
		skip = "FOR UPDATE SKIP LOCKED" // do not wait for the claims of other relays
	}
	query := `
		WITH due AS (
			SELECT id FROM outbox
			WHERE next_at >= $1 AND next_at <= $2 AND substr(topic, 1, $3) = $4
			ORDER BY next_at, id LIMIT $5 ` + skip + `)
		UPDATE outbox SET next_at = $6, attempts = attempts + 1, last_error = ''
		WHERE id IN (SELECT id FROM due) AND next_at <= $2
		RETURNING id, topic, payload, created_at, attempts, next_at`
	err = sqldb.InTx(ctx, r.DB, func(ctx context.Context, tx *sqlx.Tx) error {
		rows = rows[:0]
		return tx.SelectContext(ctx, &rows, query, floor, sqldb.Micros(now), len(r.Topics), r.Topics, limit, sqldb.Micros(now.Add(r.Lease)))
	})
	if err != nil {
		return nil, false, fmt.Errorf("claim outbox messages: %w", err)
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.ID, b.ID) })
	return rows, floor > 0 || len(rows) == limit, nil
}

// due tells whether a claim would find anything. It only reads, so an idle
// relay costs next to nothing.
func (r *Relay) due(ctx context.Context) (bool, error) {
	var found bool
	err := r.DB.GetContext(ctx, &found, `
		SELECT EXISTS (SELECT 1 FROM outbox WHERE next_at <= $1 AND substr(topic, 1, $2) = $3)`,
		sqldb.Micros(r.Now()), len(r.Topics), r.Topics)
	if err != nil {
		return false, fmt.Errorf("look for outbox messages: %w", err)
	}
	return found, nil
}

// settle notes what became of messages: the delivered ones go, the others wait
// for their next attempt.
func (r *Relay) settle(ctx context.Context, results []result) error {
	var delivered []any
	var failed []result
	for _, res := range results {
		if res.err == nil {
			delivered = append(delivered, res.row.ID)
		} else {
			failed = append(failed, res)
		}
	}
	return sqldb.InTx(ctx, r.DB, func(ctx context.Context, tx *sqlx.Tx) error {
		if len(delivered) > 0 {
			// Delivered is delivered, even if the lease has ended meanwhile.
			if _, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE id IN ("+placeholders(len(delivered))+")", delivered...); err != nil {
				return fmt.Errorf("delete delivered outbox messages: %w", err)
			}
		}
		for _, res := range failed {
			// Only while the lease is still ours.
			_, err := tx.ExecContext(ctx, `
				UPDATE outbox SET attempts = $1, next_at = $2, last_error = $3 WHERE id = $4 AND next_at = $5`,
				res.attempts, res.nextAt, res.note, res.row.ID, res.row.Lease)
			if err != nil {
				return fmt.Errorf("note failed outbox message: %w", err)
			}
		}
		return nil
	})
}

// retryNow makes those due now that wait after a failure. The ones that a relay
// has in hand have no last error.
func (r *Relay) retryNow(ctx context.Context) error {
	_, err := r.DB.ExecContext(ctx, `
		UPDATE outbox SET next_at = $1 WHERE last_error <> '' AND next_at > $1 AND next_at < $2 AND substr(topic, 1, $3) = $4`,
		sqldb.Micros(r.Now()), int64(parked), len(r.Topics), r.Topics)
	if err != nil {
		return fmt.Errorf("hasten outbox messages: %w", err)
	}
	return nil
}

// placeholders gives "$1,$2,…,$n".
func placeholders(n int) string {
	var text strings.Builder
	for i := range n {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteByte('$')
		text.WriteString(strconv.Itoa(i + 1))
	}
	return text.String()
}

// lease is how long a claimed message stays with its relay by default. It must
// outlast a delivery.
const lease = 30 * time.Second
