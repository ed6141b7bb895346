package sequencer

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// sqlLog is the log in the tables revocations and revocation_state.
type sqlLog struct {
	db          *sqldb.DB
	incarnation string // an SQL expression
}

// newSQLLog returns the log in db. That a SQLite file may have been put back
// from a copy is written down by whoever opens it.
func newSQLLog(db *sqldb.DB) sqlLog {
	return sqlLog{db, db.Incarnation("revocation_state")}
}

// state is what one look into the database has shown.
type state struct {
	Epoch     uint64 `db:"epoch"`
	Last      uint64 `db:"last_number"`
	Published uint64 `db:"published"` // up to here the stream has acknowledged
	Oldest    uint64 `db:"oldest"`    // the lowest number still kept
	Open      bool   `db:"open"`      // committed rows without a number were seen
	// Given is how many numbers were given: the last ones up to Last.
	Given uint64 `db:"-"`
	// Moved is true if another incarnation of the database numbered last, so
	// that this one may have lost numbers which others hold.
	Moved bool `db:"moved"`
}

// row is one numbered revocation.
type row struct {
	ID         string `db:"id"`
	Number     uint64 `db:"number"`
	Kind       byte   `db:"kind"`
	Subject    string `db:"subject"`
	MinVersion uint64 `db:"min_version"`
	ExpiresAt  int64  `db:"expires_at"`
	CreatedAt  int64  `db:"created_at"`
}

func (r *row) entry() contract.Entry {
	e := contract.Entry{Kind: contract.RevocationKind(r.Kind), MinVersion: r.MinVersion, ExpiresAt: sqldb.Time(r.ExpiresAt).Add(time.Second)}
	if e.Kind == contract.RevokeKey {
		e.KeyID = r.Subject
	} else {
		e.Subject = contract.ParseSubjectID(r.Subject)
	}
	return e
}

// stateColumns, and what else is asked again and again, names the order of an
// index: what has only a few rows at its beginning is then found by one step,
// even while the planner does not know yet that the log has changed.
const stateColumns = `s.epoch, s.last_number, s.published,
	COALESCE((SELECT r.number FROM revocations r WHERE r.number IS NOT NULL ORDER BY r.number LIMIT 1), s.last_number + 1) AS oldest`

func (l sqlLog) selectState() string {
	return `SELECT ` + stateColumns + `, (SELECT r.id FROM revocations r WHERE r.number IS NULL ORDER BY r.created_at, r.id LIMIT 1) IS NOT NULL AS open,
		s.incarnation <> ` + l.incarnation + ` AS moved FROM revocation_state s WHERE s.id = 1`
}

// look reads the state in one statement, so that its parts belong together.
func (l sqlLog) look(ctx context.Context) (state, error) {
	var s state
	if err := l.db.GetContext(ctx, &s, l.selectState()); err != nil {
		return state{}, sqldb.Unavailable(fmt.Errorf("read revocation state: %w", err))
	}
	return s, nil
}

const numberRows = `UPDATE revocations SET number = CAST($1 AS BIGINT) + n.k
	FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS k FROM revocations
		WHERE number IS NULL ORDER BY created_at, id LIMIT CAST($2 AS BIGINT)) n
	WHERE revocations.id = n.id
	RETURNING revocations.id, revocations.number, revocations.kind, revocations.subject,
		revocations.min_version, revocations.expires_at, revocations.created_at`

// epochStep bounds by how much an epoch grows. The step is random, so that two
// histories that part never name an epoch alike, and not below the span that
// the versions of tokens need.
const epochStep = 2 * contract.EpochSpan

func newEpochStep() int64 { return contract.EpochSpan + rand.Int64N(epochStep-contract.EpochSpan) }

// number gives committed rows the next numbers, at most a batch of them, and
// returns them in order with the state after it. The first statement locks the
// state row, so that of several sequencers one numbers at a time, and the
// next one sees every row that was committed before it. In another incarnation
// of the database it first opens a new epoch, and returns a state that is
// Moved: numbers given here must never be taken for those that may be lost.
func (l sqlLog) number(ctx context.Context) (state, []row, error) {
	if l.db.Dialect() == sqldb.Postgres {
		return l.numberAtOnce(ctx)
	}
	var (
		s    state
		rows []row
	)
	err := sqldb.InTx(ctx, l.db, func(ctx context.Context, tx *sqlx.Tx) error {
		rows = nil
		before, err := l.lock(ctx, tx)
		if err != nil {
			return err
		}
		if before.Moved {
			if _, err := tx.ExecContext(ctx, `UPDATE revocation_state SET epoch = epoch + $1, published = 0, incarnation = `+l.incarnation+` WHERE id = 1`, newEpochStep()); err != nil {
				return fmt.Errorf("open an epoch for this incarnation of the database: %w", err)
			}
		}
		if err := tx.SelectContext(ctx, &rows, numberRows, before.Last, contract.MaxBatchEntries); err != nil {
			return fmt.Errorf("number revocations: %w", err)
		}
		if len(rows) > 0 {
			if _, err := tx.ExecContext(ctx, `UPDATE revocation_state SET last_number = last_number + $1 WHERE id = 1`, len(rows)); err != nil {
				return fmt.Errorf("advance revocation state: %w", err)
			}
		}
		if err := tx.GetContext(ctx, &s, l.selectState()); err != nil {
			return fmt.Errorf("read revocation state: %w", err)
		}
		s.Moved, s.Given = before.Moved, uint64(len(rows))
		return nil
	})
	if err != nil {
		return state{}, nil, sqldb.Unavailable(err)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.Number, b.Number) })
	return s, rows, nil
}

// lock lets one transaction number at a time, and reads what it starts from.
func (l sqlLog) lock(ctx context.Context, tx *sqlx.Tx) (state, error) {
	var before state
	err := tx.GetContext(ctx, &before, `UPDATE revocation_state SET last_number = last_number WHERE id = 1
		RETURNING last_number, incarnation <> `+l.incarnation+` AS moved`)
	if err != nil {
		return state{}, fmt.Errorf("lock revocation state: %w", err)
	}
	return before, nil
}

// numbersOf gives the numbers of rows that have one.
func (l sqlLog) numbersOf(ctx context.Context, ids []string) (map[string]uint64, error) {
	query, args, err := sqlx.In(`SELECT id, number FROM revocations WHERE number IS NOT NULL AND id IN (?)`, ids)
	if err != nil {
		return nil, fmt.Errorf("name revocations: %w", err)
	}
	var rows []row
	if err := l.db.SelectContext(ctx, &rows, sqlx.Rebind(sqlx.DOLLAR, query), args...); err != nil {
		return nil, sqldb.Unavailable(fmt.Errorf("read numbers of revocations: %w", err))
	}
	found := make(map[string]uint64, len(rows))
	for i := range rows {
		found[rows[i].ID] = rows[i].Number
	}
	return found, nil
}

// readBatch gives the state as number 0, and then the rows, so that both come
// from one look and neither is sent more than once.
const readBatch = `SELECT CAST(0 AS BIGINT) AS number, epoch AS kind, '' AS subject, last_number AS min_version, published AS expires_at, oldest AS created_at
	FROM (SELECT ` + stateColumns + ` FROM revocation_state s WHERE s.id = 1) AS at
	UNION ALL SELECT b.number, b.kind, b.subject, b.min_version, b.expires_at, b.created_at
	FROM (SELECT r.number, r.kind, r.subject, r.min_version, r.expires_at, r.created_at
		FROM revocations r WHERE r.number >= $1 AND r.number <= $2 ORDER BY r.number LIMIT $3) AS b
	ORDER BY 1`

// batch reads the numbers from..to, at most a batch of them, and the state that
// belongs to them, in one statement: numbers of one history must never be named
// by the epoch of another. What was numbered below the batch's first entry is
// expired.
func (l sqlLog) batch(ctx context.Context, from, to uint64) (contract.Batch, error) {
	found, err := l.db.QueryContext(ctx, readBatch, from, to, contract.MaxBatchEntries)
	if err != nil {
		return contract.Batch{}, sqldb.Unavailable(fmt.Errorf("read revocations from %d: %w", from, err))
	}
	defer func() { _ = found.Close() }() // what goes wrong, Err tells
	s, rows, err := scanBatch(found)
	if err != nil {
		return contract.Batch{}, sqldb.Unavailable(fmt.Errorf("read revocations from %d: %w", from, err))
	}
	return batchOf(s, from, rows), nil
}

// scanBatch reads what readBatch gives.
func scanBatch(found *sql.Rows) (s state, rows []row, err error) {
	known := false
	for found.Next() {
		var (
			number, kind, version int64
			r                     row
		)
		if err := found.Scan(&number, &kind, &r.Subject, &version, &r.ExpiresAt, &r.CreatedAt); err != nil {
			return state{}, nil, err
		}
		if number == 0 {
			known = true
			s = state{Epoch: uint64(kind), Last: uint64(version), Published: uint64(r.ExpiresAt), Oldest: uint64(r.CreatedAt)}
			continue
		}
		r.Number, r.Kind, r.MinVersion = uint64(number), byte(kind), uint64(version)
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return state{}, nil, err
	}
	if !known {
		return state{}, nil, sql.ErrNoRows
	}
	return s, rows, nil
}

func batchOf(s state, from uint64, rows []row) contract.Batch {
	b := contract.Batch{Epoch: s.Epoch, First: from, Oldest: s.Oldest}
	if len(rows) == 0 {
		return b
	}
	b.First = rows[0].Number
	if b.First > from {
		b.Oldest = max(b.Oldest, b.First) // those in between were pruned, from the oldest on
	}
	committed := rows[0].CreatedAt
	b.Entries = make([]contract.Entry, 0, len(rows))
	for i := range rows {
		if rows[i].Number != b.First+uint64(i) {
			break // never by our own doing; what follows is asked for again
		}
		committed = min(committed, rows[i].CreatedAt)
		b.Entries = append(b.Entries, rows[i].entry())
	}
	b.Committed = sqldb.Time(committed)
	return b
}

// write runs one statement in a transaction of its own.
func (l sqlLog) write(ctx context.Context, what, query string, args ...any) error {
	err := sqldb.InTx(ctx, l.db, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return sqldb.Unavailable(fmt.Errorf("%s: %w", what, err))
	}
	return nil
}

// markPublished notes that the stream has the numbers first..last, if it has
// those before them too.
func (l sqlLog) markPublished(ctx context.Context, f flight) error {
	return l.write(ctx, "mark revocations as published",
		`UPDATE revocation_state SET published = $1 WHERE id = 1 AND epoch = $2 AND published < $1 AND published >= $3`,
		f.last, f.epoch, f.first-1)
}

// rewind notes that the stream ends with the number last, though it had
// acknowledged more.
func (l sqlLog) rewind(ctx context.Context, epoch, last uint64) error {
	return l.write(ctx, "rewind published revocations",
		`UPDATE revocation_state SET published = $1 WHERE id = 1 AND epoch = $2 AND published > $1`, last, epoch)
}

// openEpoch starts an epoch newer than seen, because the database has lost
// numbers that others have. All that it still has is published again in it.
func (l sqlLog) openEpoch(ctx context.Context, seen uint64) error {
	return l.write(ctx, "open a new epoch",
		`UPDATE revocation_state SET epoch = CAST($1 AS BIGINT) + CAST($2 AS BIGINT), published = 0, incarnation = `+l.incarnation+`
			WHERE id = 1 AND epoch <= CAST($1 AS BIGINT)`, seen, newEpochStep())
}

// prune deletes the oldest numbers that no longer matter to anyone, so that
// what is kept stays without gaps. It looks at those below a limit only, and
// tells how many it has deleted. It is one statement, because what is numbered
// after it has looked must stay.
func (l sqlLog) prune(ctx context.Context, now time.Time, below uint64) (deleted int, err error) {
	err = sqldb.InTx(ctx, l.db, func(ctx context.Context, tx *sqlx.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM revocations WHERE number < COALESCE((SELECT r.number FROM revocations r
			WHERE r.number < CAST($1 AS BIGINT) AND r.expires_at > $2 ORDER BY r.number LIMIT 1), CAST($1 AS BIGINT))`, below, sqldb.Micros(now))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		deleted = int(n)
		return err
	})
	if err != nil {
		return 0, sqldb.Unavailable(fmt.Errorf("prune revocations: %w", err))
	}
	return deleted, nil
}
