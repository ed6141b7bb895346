// Package sqlstore keeps what auth-service must not forget, in SQL: accounts,
// sessions, mail tokens, the audit trail, the revocation log, signing keys and
// the outbox. It fulfils auth.Store, and the store of signing keys.
//
// It promises one text for PostgreSQL and SQLite, and that a row is written by
// one transaction at a time: auth.Tx tells which lock comes first. It decides
// nothing: rules are in package auth.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is the storage of auth-service.
type Store struct {
	reader
	db *sqldb.DB
}

var _ auth.Store = (*Store)(nil)

// New brings the schema of the database up to date and returns its Store, for
// the service itself.
func New(ctx context.Context, db *sqldb.DB) (*Store, error) {
	s, err := Beside(ctx, db)
	if err != nil {
		return nil, err
	}
	if db.Dialect() == sqldb.SQLite {
		// The file may have been put back from a copy while nobody had it open.
		if _, err := db.ExecContext(ctx, `UPDATE revocation_state SET incarnation = '' WHERE id = 1`); err != nil {
			return nil, failed("note that the database was opened anew", err)
		}
	}
	return s, nil
}

// Beside is New for somebody who works beside the service: opening the database
// means nothing to that.
func Beside(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	if err := db.Migrate(ctx, files); err != nil {
		return nil, fmt.Errorf("migrate auth database: %w", err)
	}
	return newStore(db), nil
}

// ReadOnly returns the Store of a database for somebody who changes nothing
// there, not even the schema. It fails if that is not up to date.
func ReadOnly(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	if err := db.Migrated(ctx, files); err != nil {
		return nil, fmt.Errorf("open auth database: %w", err)
	}
	return newStore(db), nil
}

func newStore(db *sqldb.DB) *Store {
	return &Store{reader: reader{q: db, incarnation: db.Incarnation("revocation_state")}, db: db}
}

// within is the transaction x of this store.
func (s *Store) within(x *sqlx.Tx) *tx {
	return &tx{reader: reader{q: x, incarnation: s.incarnation}, tx: x, forUpdate: s.forUpdate()}
}

// InTx runs change in one transaction; see auth.Store.
func (s *Store) InTx(ctx context.Context, change func(tx auth.Tx) error) error {
	err := sqldb.InTx(ctx, s.db, func(_ context.Context, t *sqlx.Tx) error {
		return change(s.within(t))
	})
	return sqldb.Unavailable(err)
}

// forUpdate is what a query that locks ends with. A transaction on SQLite is
// the only one that writes from its beginning, so there is nothing to lock.
func (s *Store) forUpdate() string {
	if s.db.Dialect() == sqldb.Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// tx is one transaction.
type tx struct {
	reader
	tx        *sqlx.Tx
	forUpdate string
}

// exec runs a statement and says how many rows it changed.
func (t *tx) exec(ctx context.Context, what, query string, args ...any) (int, error) {
	result, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, failed(what, err)
	}
	n, err := result.RowsAffected()
	return int(n), failed(what, err)
}

// lockName takes the row of a lock that has no row of its own.
func (t *tx) lockName(ctx context.Context, name string) error {
	var got string
	err := t.tx.GetContext(ctx, &got, `SELECT name FROM locks WHERE name = $1`+t.forUpdate, name)
	return failed("lock "+name, err)
}

// failed says what was attempted, and tells a row that is not there, and a
// database that is away, from everything else.
func failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(fault.NotFound, "", fmt.Errorf("%s: %w", what, err))
	}
	return sqldb.Unavailable(fmt.Errorf("%s: %w", what, err))
}

// list keeps words that hold no comma in one column.
func list(words []string) string { return strings.Join(words, ",") }

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
