package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
)

// Migrate applies the numbered goose files (0001_name.sql …) in the root of
// files which the database has not had yet, each in its own transaction. Any
// number of replicas may do so at once. A migration that is older than one
// already applied is refused.
func (db *DB) Migrate(ctx context.Context, files fs.FS) error {
	pool, err := db.source.pool(true)
	if err != nil {
		return err
	}
	err = db.migrate(ctx, pool, files)
	return Unavailable(errors.Join(err, pool.Close()))
}

// Migrated returns an error unless the database has had all of the files, which
// are those of Migrate, and perhaps later ones. It changes nothing.
func (db *DB) Migrated(ctx context.Context, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	var newest int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return fmt.Errorf("read migrations: %w", err)
		}
		newest = max(newest, version)
	}
	var has int64
	err = db.GetContext(ctx, &has, `SELECT COALESCE(MAX(version_id), 0) FROM `+goose.DefaultTablename+` WHERE is_applied`)
	if err != nil {
		return Unavailable(fmt.Errorf("look which migrations were applied: %w", err))
	}
	if has < newest {
		return fmt.Errorf("the database has had the migrations up to %d, and those up to %d are needed: start the service of this version first", has, newest)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, pool *sql.DB, files fs.FS) error {
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	dialect := goose.DialectSQLite3
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		options = append(options, goose.WithSessionLocker(schemaLock{}))
	}
	provider, err := goose.NewProvider(dialect, pool, files, options...)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	// SQLite has no lock that outlives a transaction. Of two processes that
	// migrate at once, one fails at a step the other has just done, and finds
	// it done when it looks again.
	tries := 1
	if db.dialect == SQLite {
		tries = 3
	}
	for try := 1; ; try++ {
		_, err = provider.Up(ctx)
		if err == nil {
			return nil
		}
		if try >= tries || ctx.Err() != nil {
			return fmt.Errorf("apply migrations: %w", err)
		}
	}
}

// schemaLock lets one session migrate a schema at a time. It belongs to the
// session, so it goes when the process does. It asks again instead of waiting
// in the server, where a context could not end the wait of a hung session.
type schemaLock struct{}

const lockName = "hashtextextended('gatehouse migrations of ' || current_schema(), 0)"

// SessionLock waits for the lock until ctx ends.
func (schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+lockName+")").Scan(&locked); err != nil {
			return fmt.Errorf("lock schema for migration: %w", err)
		}
		if locked {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock schema for migration: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// SessionUnlock gives the lock back.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockName+")"); err != nil {
		return fmt.Errorf("unlock schema after migration: %w", err)
	}
	return nil
}
