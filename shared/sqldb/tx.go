package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
)

// maxTries is how often InTx runs a transaction at most.
const maxTries = 5

// txKey marks the context of a transaction on a DB.
type txKey struct{ db *DB }

// InTx runs fn in a transaction and commits it if fn returns nil. After a
// serialization failure, a deadlock, a busy database or a change of the tables
// it runs fn again, up to five times in all, so fn must not change anything but the database. The
// isolation is READ COMMITTED on PostgreSQL and serial on SQLite.
//
// A connection that breaks during the commit leaves the outcome unknown: that
// is an error, never run again here, and a caller that retries must be
// idempotent. Failures of the database itself have the kind fault.Unavailable.
//
// InTx on the same database inside fn is refused: it would wait for itself.
func InTx(ctx context.Context, db *DB, fn func(ctx context.Context, tx *sqlx.Tx) error) error {
	if ctx.Value(txKey{db}) != nil {
		return errors.New("begin transaction: already inside a transaction of this database")
	}
	wait := 2 * time.Millisecond
	for try := 1; ; try++ {
		err := inTxOnce(ctx, db, fn)
		if err == nil {
			return nil
		}
		if try == maxTries || !retryable(err) || ctx.Err() != nil {
			return Unavailable(err)
		}
		// Jitter, so that two that met once do not meet again.
		select {
		case <-ctx.Done():
			return Unavailable(err)
		case <-time.After(wait/2 + rand.N(wait)):
			wait *= 3
		}
	}
}

func inTxOnce(ctx context.Context, db *DB, fn func(ctx context.Context, tx *sqlx.Tx) error) (err error) {
	// The turn comes before the connection, so that those who wait for it do
	// not take the whole pool from the readers.
	release, err := db.lockWriter(ctx)
	if err != nil {
		return err
	}
	defer release()
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	committed := false
	defer func() {
		if !committed { // also when fn panics
			// The first error is what matters; a failed rollback means that the
			// connection is gone, and the transaction with it.
			_ = tx.Rollback()
		}
	}()
	if err := fn(context.WithValue(ctx, txKey{db}, true), tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	committed = true
	return nil
}
