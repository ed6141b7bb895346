package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/lib/pq/pqerror"
)

// The bounds of what a connection remembers of statements.
const (
	maxPrepared = 256
	maxSeen     = 256
)

// statements are those that a connection has prepared: parsing and planning is
// more than half of what a look-up by key costs the server. A text is prepared
// when it comes for the second time, so that one that is made for a single use
// leaves nothing behind. They end with the connection, which lives an hour.
type statements struct {
	prepared map[string]pqStmt
	seen     map[string]struct{}
}

// pqStmt is what prepared statements of lib/pq can do.
type pqStmt interface {
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement gives the prepared statement for a text, and nil if the text is to
// be run as it is.
func (c *watchedConn) statement(ctx context.Context, query string, args []driver.NamedValue) (pqStmt, error) {
	if len(args) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	if s, found := c.statements.prepared[query]; found {
		return s, nil
	}
	if !c.statements.again(query) || len(c.statements.prepared) == maxPrepared {
		return nil, nil //nolint:nilnil // there is none
	}
	made, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := made.(pqStmt)
	if !ok {
		return nil, fmt.Errorf("lib/pq has changed what its statements can do: %T", made)
	}
	c.statements.prepared[query] = s
	return s, nil
}

// again reports whether the text was seen before.
func (s *statements) again(query string) bool {
	if s.prepared == nil {
		s.prepared, s.seen = map[string]pqStmt{}, map[string]struct{}{}
	}
	if _, found := s.seen[query]; found {
		delete(s.seen, query)
		return true
	}
	if len(s.seen) == maxSeen {
		clear(s.seen)
	}
	s.seen[query] = struct{}{}
	return false
}

// errStale says that the server refused a statement that was prepared before,
// and has done nothing of it. Outside of a transaction database/sql runs it
// again, and InTx a whole transaction.
var errStale = errors.New("a prepared statement no longer fits the tables")

// judge gives up the connection if the server says that a statement which was
// prepared on it no longer fits the tables, as after a migration.
func (c *watchedConn) judge(err error) error {
	switch postgresCode(err) {
	case pqerror.FeatureNotSupported, pqerror.InvalidSQLStatementName:
		c.spent.Store(true)
		return errors.Join(driver.ErrBadConn, errStale, err)
	}
	return err
}
