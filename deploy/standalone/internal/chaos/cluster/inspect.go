package cluster

import (
	"context"
	"errors"
	"fmt"

	"gatehouse.internal/shared/sqldb"
)

// UserDatabase is the user-service's database, past all links, for a test that
// looks into it or holds its locks. Whoever asks for it closes it.
func (c *Cluster) UserDatabase(ctx context.Context) (*sqldb.DB, error) {
	return sqldb.Open(ctx, c.databases.at(c.databases.url.Host, "users"))
}

// Count gives the number that a query of the auth-service's database has for an
// answer, past all links.
func (c *Cluster) Count(ctx context.Context, query string, args ...any) (n int, err error) {
	if err := c.databases.auth.GetContext(ctx, &n, query, args...); err != nil {
		return 0, fmt.Errorf("count for the test: %w", err)
	}
	return n, nil
}

// Hold runs a statement on a database in a transaction that stays open until
// let is called.
func Hold(ctx context.Context, db *sqldb.DB, statement string, args ...any) (let func() error, err error) {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
		return nil, errors.Join(fmt.Errorf("run a statement of the test: %w", err), tx.Rollback())
	}
	return tx.Commit, nil
}
