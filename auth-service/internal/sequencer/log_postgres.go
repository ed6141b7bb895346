package sequencer

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// numberScript is what number does, for PostgreSQL: one message, so that the
// lock is held for no round trip and a sequencer that stops within it holds up
// nobody. Each statement sees what was committed before it began, and the first
// one has the lock by then. What it answers is small, because a server that
// cannot get rid of its answer does not come to the commit.
//
// The planner, left to itself, joins the few rows that have no number with the
// whole log, however long that is, or sorts a large backlog anew for every
// batch, although an index has it in order.
func (l sqlLog) numberScript() string {
	return strings.NewReplacer(
		"{incarnation}", l.incarnation, "{state}", l.selectState(),
		"{step}", fmt.Sprint(newEpochStep()), "{most}", fmt.Sprint(contract.MaxBatchEntries),
	).Replace(`BEGIN;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_sort = off;
SET LOCAL enable_bitmapscan = off;
SELECT last_number, incarnation <> {incarnation} AS moved FROM revocation_state WHERE id = 1 FOR UPDATE;
UPDATE revocation_state SET epoch = epoch + {step}, published = 0, incarnation = {incarnation}
	WHERE id = 1 AND incarnation <> {incarnation};
WITH given AS (
	UPDATE revocations SET number = (SELECT last_number FROM revocation_state WHERE id = 1) + n.k
	FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS k FROM revocations
		WHERE number IS NULL ORDER BY created_at, id LIMIT {most}) n
	WHERE revocations.id = n.id RETURNING revocations.number)
UPDATE revocation_state SET last_number = g.last FROM (SELECT MAX(number) AS last FROM given) g
	WHERE id = 1 AND g.last IS NOT NULL;
{state};
COMMIT`)
}

// numberAtOnce is number, for PostgreSQL.
func (l sqlLog) numberAtOnce(ctx context.Context) (state, []row, error) {
	before, after, err := l.runNumberScript(ctx)
	if err != nil {
		return state{}, nil, sqldb.Unavailable(fmt.Errorf("number revocations: %w", err))
	}
	after.Moved, after.Given = before.Moved, after.Last-before.Last
	if after.Given == 0 {
		return after, nil, nil
	}
	var rows []row // what is pruned meanwhile, or belongs to a newer epoch, is left out
	err = l.db.SelectContext(ctx, &rows, `SELECT id, number, kind, subject, min_version, expires_at, created_at
		FROM revocations WHERE number > $1 AND number <= $2 AND (SELECT epoch FROM revocation_state WHERE id = 1) = $3
		ORDER BY number`, before.Last, after.Last, after.Epoch)
	if err != nil {
		return state{}, nil, sqldb.Unavailable(fmt.Errorf("read numbered revocations: %w", err))
	}
	return after, rows, nil
}

// runNumberScript gives the state before and after. A connection on which it
// fails is closed: it may be within a transaction.
func (l sqlLog) runNumberScript(ctx context.Context) (before, after state, err error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return state{}, state{}, err
	}
	defer func() {
		if err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // drops the connection
		}
		_ = conn.Close() // gives it back, or is told that it is gone
	}()
	rows, err := conn.QueryContext(ctx, l.numberScript())
	if err != nil {
		return state{}, state{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := scanOne(rows, &before.Last, &before.Moved); err != nil {
		return state{}, state{}, err
	}
	if !rows.NextResultSet() {
		return state{}, state{}, errors.Join(rows.Err(), sql.ErrNoRows)
	}
	if err := scanOne(rows, &after.Epoch, &after.Last, &after.Published, &after.Oldest, &after.Open, &after.Moved); err != nil {
		return state{}, state{}, err
	}
	return before, after, nil // the end of the last answer is that of the script, with its commit
}

// scanOne reads the one row of a set.
func scanOne(rows *sql.Rows, into ...any) error {
	if !rows.Next() {
		return errors.Join(rows.Err(), sql.ErrNoRows)
	}
	if err := rows.Scan(into...); err != nil {
		return err
	}
	if rows.Next() {
		return errors.New("more than one row")
	}
	return rows.Err()
}
