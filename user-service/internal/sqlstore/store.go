// Package sqlstore keeps the records of package user in PostgreSQL or SQLite.
//
// It decides how a record lies in a table, and nothing else. It promises what
// user.Store promises, with the same SQL text on both databases, and that a
// database which is away is told as fault.Unavailable. It refuses nothing of
// its own.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
)

// Store is a user.Store over a database.
type Store struct {
	db     *sqldb.DB
	byText bool // there is an index of texts
}

// Open brings the tables up to date and returns the store.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := schemaOf(db.Dialect())
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if err := db.Migrate(ctx, files); err != nil {
		return nil, fmt.Errorf("migrate users: %w", err)
	}
	s := &Store{db: db}
	if db.Dialect() == sqldb.Postgres {
		// An operator may have made the indexes where the migration could not.
		if err := db.GetContext(ctx, &s.byText, `SELECT to_regclass('users_by_text') IS NOT NULL AND to_regclass('users_by_role') IS NOT NULL`); err != nil {
			return nil, fmt.Errorf("look for the index of texts: %w", sqldb.Unavailable(err))
		}
	}
	return s, nil
}

// Installation returns the id of this database, made when it was first opened.
func (s *Store) Installation(ctx context.Context) (string, error) {
	fresh, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make an installation id: %w", err)
	}
	var id string
	err = sqldb.InTx(ctx, s.db, func(ctx context.Context, tx *sqlx.Tx) error {
		const insert = `INSERT INTO installation (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, fresh.String()); err != nil {
			return err
		}
		return tx.GetContext(ctx, &id, `SELECT id FROM installation WHERE one = 1`)
	})
	if err != nil {
		return "", fmt.Errorf("find the installation id: %w", err)
	}
	return id, nil
}

// Find returns the record of an account.
func (s *Store) Find(ctx context.Context, id string) (user.Record, error) {
	var found row
	err := s.db.GetContext(ctx, &found, `SELECT `+columns+` FROM users WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return user.Record{}, fault.New(fault.NotFound, "There is no such account.")
	}
	if err != nil {
		return user.Record{}, fmt.Errorf("find user: %w", sqldb.Unavailable(err))
	}
	return found.record()
}

// Change replaces the record of an account by what fn makes of it, with the
// row locked meanwhile.
func (s *Store) Change(ctx context.Context, id string, fn func(user.Record) (user.Record, error)) (user.Record, error) {
	var next user.Record
	err := sqldb.InTx(ctx, s.db, func(ctx context.Context, tx *sqlx.Tx) error {
		for {
			before, err := s.lock(ctx, tx, id)
			if err != nil {
				return err
			}
			if next, err = fn(before); err != nil {
				return err
			}
			if reflect.DeepEqual(before, next) {
				return nil
			}
			written, err := write(ctx, tx, &before, &next)
			if err != nil || written {
				return err
			}
			// Somebody else was first to write this account; now it can be locked.
		}
	})
	if err != nil {
		return user.Record{}, fmt.Errorf("change user: %w", err)
	}
	return next, nil
}

// lock returns the record of an account, which nobody else can change until
// the transaction ends. It is empty when there is none.
func (s *Store) lock(ctx context.Context, tx *sqlx.Tx, id string) (user.Record, error) {
	query := `SELECT ` + columns + ` FROM users WHERE id = $1`
	if s.db.Dialect() == sqldb.Postgres {
		query += ` FOR UPDATE` // on SQLite the transaction itself has locked
	}
	var found row
	err := tx.GetContext(ctx, &found, query, id)
	if errors.Is(err, sql.ErrNoRows) {
		return user.Record{}, nil
	}
	if err != nil {
		return user.Record{}, err
	}
	return found.record()
}

// write stores the new record, and reports whether it did: it does not when
// the first record of an account has appeared since it was looked for.
func write(ctx context.Context, tx *sqlx.Tx, before, next *user.Record) (bool, error) {
	r, err := newRow(next)
	if err != nil {
		return false, err
	}
	statement := insertRow
	if before.Known() {
		statement = updateRow
	}
	result, err := tx.NamedExecContext(ctx, statement, r)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
