package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// cancelGrace is how long a server may take to confirm that it has cancelled a
// statement whose context has ended.
const cancelGrace = 500 * time.Millisecond

// boundedConnector makes connections that a silent server cannot hold up: each
// read and write ends within limit, and a call ends soon after its context.
type boundedConnector struct {
	config pq.Config
	limit  time.Duration
}

// Driver is part of driver.Connector.
func (c boundedConnector) Driver() driver.Driver { return &pq.Driver{} }

// Connect is part of driver.Connector.
func (c boundedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	connector, err := pq.NewConnectorConfig(c.config)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", redact(err))
	}
	dialer := &boundedDialer{limit: c.limit}
	connector.Dialer(dialer)
	// The driver greets the server without an eye on the context.
	stop := context.AfterFunc(ctx, dialer.cut)
	conn, err := connector.Connect(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	if !stop() {
		return nil, errors.Join(ctx.Err(), conn.Close())
	}
	full, ok := conn.(pqConn)
	if !ok {
		return nil, errors.Join(errors.New("lib/pq has changed what its connections can do"), conn.Close())
	}
	return &watchedConn{pqConn: full, net: dialer.first.Load()}, nil
}

// pqConn is what connections of lib/pq can do.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// watchedConn ends the reading of a call soon after its context has ended. The
// driver only asks the server to cancel, and then reads on.
type watchedConn struct {
	pqConn
	net   *boundedConn
	spent atomic.Bool // was cut off once, and is not to be used again

	statements statements
}

// watch looks after one call, until the returned function is called.
func (c *watchedConn) watch(ctx context.Context) (done func()) {
	stop := context.AfterFunc(ctx, func() {
		c.spent.Store(true)
		c.net.cut(time.Now().Add(cancelGrace))
	})
	return func() {
		if !stop() {
			c.spent.Store(true)
		}
	}
}

// IsValid is part of driver.Validator.
func (c *watchedConn) IsValid() bool { return !c.spent.Load() && c.pqConn.IsValid() }

// BeginTx is part of driver.ConnBeginTx.
func (c *watchedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	defer c.watch(ctx)()
	tx, err := c.pqConn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &watchedTx{Tx: tx, conn: c, ctx: ctx}, nil
}

// watchedTx ends the reading of a commit soon after the context of its
// transaction has ended. What has become of the transaction is then unknown.
type watchedTx struct {
	driver.Tx
	conn *watchedConn
	ctx  context.Context
}

// Commit is part of driver.Tx.
func (t *watchedTx) Commit() error {
	defer t.conn.watch(t.ctx)()
	return t.Tx.Commit()
}

// PrepareContext is part of driver.ConnPrepareContext.
func (c *watchedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	defer c.watch(ctx)()
	return c.pqConn.PrepareContext(ctx, query)
}

// ExecContext is part of driver.ExecerContext.
func (c *watchedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.watch(ctx)()
	s, err := c.statement(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.pqConn.ExecContext(ctx, query, args)
	}
	result, err := s.ExecContext(ctx, args)
	return result, c.judge(err)
}

// QueryContext is part of driver.QueryerContext.
func (c *watchedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.watch(ctx)()
	s, err := c.statement(ctx, query, args)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.pqConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	return rows, c.judge(err)
}

// Ping is part of driver.Pinger.
func (c *watchedConn) Ping(ctx context.Context) error {
	defer c.watch(ctx)()
	return c.pqConn.Ping(ctx)
}

// boundedDialer makes bounded connections, and remembers the first: the driver
// makes further ones to cancel what runs on that.
type boundedDialer struct {
	limit time.Duration
	first atomic.Pointer[boundedConn]
}

// DialContext is part of pq.DialerContext.
func (d *boundedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: 15 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	bounded := &boundedConn{Conn: conn, limit: d.limit}
	if d.first.CompareAndSwap(nil, bounded) && ctx.Err() != nil {
		d.cut()
	}
	return bounded, nil
}

// cut ends what is going on on the first connection.
func (d *boundedDialer) cut() {
	if conn := d.first.Load(); conn != nil {
		conn.cut(time.Now())
	}
}

// Dial is part of pq.Dialer.
func (d *boundedDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is part of pq.Dialer.
func (d *boundedDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// boundedConn gives each read and write its own deadline, no later than the
// one that was set for all, nor than the one after which the connection is
// done with.
type boundedConn struct {
	net.Conn
	limit time.Duration

	mu      sync.Mutex // held while a deadline is worked out and set
	overall time.Time  // zero: none
	end     time.Time  // zero: none
}

// SetDeadline bounds all reads and writes from now on.
func (c *boundedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.overall = t
	return c.Conn.SetDeadline(t)
}

// cut ends a read that is under way, and all later ones, at t.
func (c *boundedConn) cut(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = t
	_ = c.SetReadDeadline(t) // an error means that it is closed, which is as good
}

func (c *boundedConn) deadline() time.Time {
	deadline := time.Now().Add(c.limit)
	for _, other := range []time.Time{c.overall, c.end} {
		if !other.IsZero() && other.Before(deadline) {
			deadline = other
		}
	}
	return deadline
}

// bound sets the deadline of the next read or write.
func (c *boundedConn) bound(set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return set(c.deadline())
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if err := c.bound(c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.bound(c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
