package outbox

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/sqldb"
)

// parked is the next_at of a message that waits for an operator.
const parked = math.MaxInt64

// Message is what is to be delivered.
type Message struct {
	ID      string // UUIDv7; the same message never has two
	Topic   string
	Payload []byte
}

// Add puts a message into the outbox, as part of the transaction tx. Call
// Relay.Wake after the commit.
func Add(ctx context.Context, tx *sqlx.Tx, m Message, now time.Time) error {
	if m.ID == "" || m.Topic == "" {
		return errors.New("add to outbox: a message needs an id and a topic")
	}
	if m.Payload == nil {
		m.Payload = []byte{}
	}
	// next_at 0: due at once for every relay, whatever its clock says.
	_, err := tx.ExecContext(ctx, `
		INSERT INTO outbox (id, topic, payload, created_at, attempts, next_at, last_error)
		VALUES ($1, $2, $3, $4, 0, 0, '')`, m.ID, m.Topic, m.Payload, sqldb.Micros(now))
	if err != nil {
		return fmt.Errorf("add to outbox: %w", err)
	}
	return nil
}

// Counts is the state of an outbox.
type Counts struct {
	Waiting int64     // not delivered yet, parked ones not counted
	Parked  int64     // given up, until an operator decides
	Oldest  time.Time // when the oldest waiting message was added; zero if there is none
}

// Count tells how much is in the outbox, for metrics and alarms.
func Count(ctx context.Context, db *sqldb.DB) (Counts, error) {
	var row struct {
		Waiting int64 `db:"waiting"`
		Parked  int64 `db:"parked"`
		Oldest  int64 `db:"oldest"`
	}
	err := db.GetContext(ctx, &row, `
		SELECT COALESCE(SUM(CASE WHEN next_at < $1 THEN 1 ELSE 0 END), 0) AS waiting,
		       COALESCE(SUM(CASE WHEN next_at = $1 THEN 1 ELSE 0 END), 0) AS parked,
		       COALESCE(MIN(CASE WHEN next_at < $1 THEN created_at END), 0) AS oldest
		FROM outbox`, int64(parked))
	if err != nil {
		return Counts{}, sqldb.Unavailable(fmt.Errorf("count outbox: %w", err))
	}
	return Counts{Waiting: row.Waiting, Parked: row.Parked, Oldest: sqldb.Time(row.Oldest)}, nil
}

// Unpark makes all parked messages due again, with a clean record, and tells
// how many there were.
func Unpark(ctx context.Context, db *sqldb.DB) (int64, error) {
	result, err := db.ExecContext(ctx, `UPDATE outbox SET next_at = 0, attempts = 0, last_error = '' WHERE next_at = $1`, int64(parked))
	if err != nil {
		return 0, sqldb.Unavailable(fmt.Errorf("unpark outbox: %w", err))
	}
	return result.RowsAffected()
}
