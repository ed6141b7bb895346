package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// Dialect is the kind of database behind a DB.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Bounds of the pools. A service that needs more than maxPostgresConns at once
// is better off waiting: PostgreSQL itself has 100 for all by default. It keeps
// all of them for a while: if the pool let go of some, ten callers at once
// would have it open and close connections all the time, and prepare their
// statements anew.
const (
	maxPostgresConns = 16
	maxSQLiteConns   = 8
	idleSQLiteConns  = 4
	connIdleTime     = 5 * time.Minute
	connLifetime     = time.Hour
)

// DB is a database with a bounded pool.
type DB struct {
	*sqlx.DB
	dialect Dialect
	source  source
	writer  chan struct{} // SQLite: holds one token while someone writes; nil on PostgreSQL
}

// source makes pools for one database.
type source interface {
	// pool opens a pool. One that is patient has no limit on the time a single
	// statement may take, which migrations need.
	pool(patient bool) (*sql.DB, error)
}

// Open opens the database at url: postgres://… or sqlite:PATH. It tries until
// the server answers or ctx ends, so that a service can start before its
// database. A URL or a setting that can never work is refused at once.
func Open(ctx context.Context, url string) (*DB, error) {
	db, err := prepare(url)
	if err != nil {
		return nil, err
	}
	if err := db.await(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepare makes the DB for a URL without talking to it.
func prepare(rawURL string) (*DB, error) {
	scheme, _, _ := strings.Cut(rawURL, ":")
	db := &DB{}
	var err error
	switch scheme {
	case "postgres", "postgresql":
		db.dialect = Postgres
		db.source, err = newPostgres(rawURL)
	case "sqlite":
		db.dialect, db.writer = SQLite, make(chan struct{}, 1)
		db.source, err = newSQLite(rawURL)
	default:
		return nil, errors.New("database URL must start with sqlite: or postgres://")
	}
	if err != nil {
		return nil, err
	}
	pool, err := db.source.pool(false)
	if err != nil {
		return nil, err
	}
	pool.SetConnMaxIdleTime(connIdleTime)
	if db.dialect == Postgres {
		pool.SetMaxOpenConns(maxPostgresConns)
		pool.SetMaxIdleConns(maxPostgresConns)
		pool.SetConnMaxLifetime(connLifetime)
	} else {
		pool.SetMaxOpenConns(maxSQLiteConns)
		pool.SetMaxIdleConns(idleSQLiteConns)
	}
	// sqlx knows neither name well enough: with DOLLAR, Rebind leaves the $n
	// placeholders of the one SQL text as they are.
	sqlx.BindDriver(string(SQLite), sqlx.DOLLAR)
	db.DB = sqlx.NewDb(pool, string(db.dialect))
	return db, nil
}

// await pings until the database answers. What cannot change by waiting, such
// as a wrong password, is an error at once.
func (db *DB) await(ctx context.Context) error {
	wait := 50 * time.Millisecond
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		var one int
		err := db.GetContext(attempt, &one, "SELECT 1")
		cancel()
		if err == nil {
			return nil
		}
		if !unavailable(err) {
			return fmt.Errorf("open %s database: %w", db.dialect, err)
		}
		select {
		case <-ctx.Done():
			return Unavailable(fmt.Errorf("open %s database: %w", db.dialect, errors.Join(ctx.Err(), err)))
		case <-time.After(wait):
			wait = min(2*wait, time.Second)
		}
	}
}

// Dialect tells which kind of database this is.
func (db *DB) Dialect() Dialect { return db.dialect }

// ExecContext runs one statement outside a transaction. On SQLite it queues
// with InTx for the one writer.
func (db *DB) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	release, err := db.lockWriter(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return db.DB.ExecContext(ctx, query, args...)
}

// lockWriter waits for the turn to write. SQLite's own waiting is a poll that
// takes no account of who came first: with many goroutines some would wait
// until they give up. A channel serves its waiters in order.
func (db *DB) lockWriter(ctx context.Context) (release func(), err error) {
	if db.writer == nil {
		return func() {}, nil
	}
	select {
	case db.writer <- struct{}{}:
		return func() { <-db.writer }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the database writer: %w", ctx.Err())
	}
}

// Micros gives a time as the database keeps it: Unix microseconds. The zero
// time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the reverse of Micros, in UTC.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// redact removes what may be secret from an error about a URL.
func redact(err error) error {
	if parse, ok := errors.AsType[*url.Error](err); ok {
		return parse.Err
	}
	return err
}
