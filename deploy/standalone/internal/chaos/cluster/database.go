package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "github.com/lib/pq" // by the name of postgres

	"gatehouse.internal/shared/sqldb"
)

// databases are the two of a cluster, on a PostgreSQL that was there before.
type databases struct {
	server *sql.DB // without the services' bound on a statement: making a database writes a whole one to disk
	url    *url.URL
	prefix string // of their names
	auth   *sqldb.DB
}

// openDatabases makes two empty databases.
func openDatabases(ctx context.Context, serverURL, prefix string) (*databases, error) {
	at, err := url.Parse(serverURL)
	if err != nil {
		return nil, errors.New("the URL of PostgreSQL is not a URL")
	}
	d := &databases{url: at, prefix: prefix}
	if d.server, err = sql.Open("postgres", serverURL); err != nil {
		return nil, errors.New("the URL of PostgreSQL is not one of the driver's")
	}
	for _, name := range []string{d.name("auth"), d.name("users")} {
		if err := d.do(ctx, "CREATE DATABASE "+name); err != nil {
			return nil, errors.Join(err, d.close(ctx))
		}
	}
	if err := d.openAuth(ctx); err != nil {
		return nil, errors.Join(err, d.close(ctx))
	}
	return d, nil
}

func (d *databases) openAuth(ctx context.Context) (err error) {
	d.auth, err = sqldb.Open(ctx, d.at(d.url.Host, "auth"))
	return err
}

func (d *databases) name(of string) string { return d.prefix + "_" + of }

// at is the URL of one of the databases at an address.
func (d *databases) at(host, of string) string {
	u := *d.url
	u.Host, u.Path = host, "/"+d.name(of)
	return u.String()
}

func (d *databases) do(ctx context.Context, statement string) error {
	if _, err := d.server.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// close drops the databases.
func (d *databases) close(ctx context.Context) error {
	var errs []error
	if d.auth != nil {
		errs = append(errs, d.auth.Close())
	}
	for _, of := range []string{"auth", "users", "backup"} {
		errs = append(errs, d.do(ctx, "DROP DATABASE IF EXISTS "+d.name(of)+" WITH (FORCE)"))
	}
	return errors.Join(append(errs, d.server.Close())...)
}

// Truth is what the database says of the revocation log.
type Truth struct {
	Epoch      uint64 `db:"epoch"`
	Last       uint64 `db:"last_number"`
	Unnumbered int    `db:"unnumbered"`
	Published  uint64 `db:"published"`
}

// Truth reads the revocation log's state, past all links.
func (c *Cluster) Truth(ctx context.Context) (Truth, error) {
	var t Truth
	err := c.databases.auth.GetContext(ctx, &t, `SELECT epoch, last_number, published,
		(SELECT count(*) FROM revocations WHERE number IS NULL) AS unnumbered FROM revocation_state WHERE id = 1`)
	if err != nil {
		return Truth{}, fmt.Errorf("read the state of the revocation log: %w", err)
	}
	return t, nil
}

// Numbered reads the epoch and the last number given, past all links. It costs
// the database nothing, however long the log is.
func (c *Cluster) Numbered(ctx context.Context) (epoch, last uint64, err error) {
	err = c.databases.auth.QueryRowContext(ctx, `SELECT epoch, last_number FROM revocation_state WHERE id = 1`).Scan(&epoch, &last)
	if err != nil {
		return 0, 0, fmt.Errorf("read the last number of the revocation log: %w", err)
	}
	return epoch, last, nil
}

// SQL runs a statement on the auth-service's database, past all links.
func (c *Cluster) SQL(ctx context.Context, statement string) error {
	if _, err := c.databases.auth.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("run a statement of the test: %w", err)
	}
	return nil
}

// BackUp copies the auth-service's database. The auth-services must be down.
func (c *Cluster) BackUp(ctx context.Context) error {
	d := c.databases
	if err := d.auth.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	// The server takes a moment to notice that the services' connections are gone.
	err := until(ctx, "the database can be copied", func() error {
		return d.do(ctx, "CREATE DATABASE "+d.name("backup")+" TEMPLATE "+d.name("auth"))
	})
	return errors.Join(err, d.openAuth(ctx))
}

// Restore puts the copy in the place of the auth-service's database: whatever
// was committed since then is lost. The auth-services must be down.
func (c *Cluster) Restore(ctx context.Context) error {
	d := c.databases
	return errors.Join(d.auth.Close(), d.do(ctx, "DROP DATABASE "+d.name("auth")+" WITH (FORCE)"),
		d.do(ctx, "ALTER DATABASE "+d.name("backup")+" RENAME TO "+d.name("auth")), d.openAuth(ctx))
}

// Begin runs a statement on the auth-service's database in a transaction that
// stays open until finish is called.
func (c *Cluster) Begin(ctx context.Context, statement string) (finish func() error, err error) {
	tx, err := c.databases.auth.BeginTxx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	if _, err := tx.ExecContext(ctx, statement); err != nil {
		return nil, errors.Join(fmt.Errorf("run a statement of the test: %w", err), tx.Rollback())
	}
	return tx.Commit, nil
}

// Revocation is a numbered row of the revocation log.
type Revocation struct {
	Number  uint64 `db:"number"`
	Written int64  `db:"created_at"` // Unix microseconds by the auth-service's clock, before its transaction commits
}

// Revocations reads the rows with numbers above after, in order.
func (c *Cluster) Revocations(ctx context.Context, after uint64) ([]Revocation, error) {
	var out []Revocation
	if err := c.databases.auth.SelectContext(ctx, &out, `SELECT number, created_at FROM revocations WHERE number > $1 ORDER BY number`, after); err != nil {
		return nil, fmt.Errorf("read the revocation log: %w", err)
	}
	return out, nil
}
