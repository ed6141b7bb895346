package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// Bounds of a PostgreSQL connection.
const (
	connectTimeout = 5 * time.Second
	// statementTimeout is how long one statement may run, migrations apart.
	statementTimeout = 10 * time.Second
	// answerTimeout is how long a server may keep us waiting for the next byte
	// of an answer. The driver asks a server to cancel when a context ends but
	// goes on reading, for ever if the server hangs; this ends the reading.
	answerTimeout = statementTimeout + time.Second
)

// postgresDefaults are run-time parameters of every connection unless its URL
// says otherwise. A client that was paused in the middle of a transaction must
// not hold its locks for ever.
func postgresDefaults() map[string]string {
	return map[string]string{
		"default_transaction_isolation":       "read committed",
		"idle_in_transaction_session_timeout": "60000",
		"statement_timeout":                   strconv.FormatInt(statementTimeout.Milliseconds(), 10),
	}
}

// postgresSource is a database on a server.
type postgresSource struct {
	config        pq.Config
	answerTimeout time.Duration
}

func newPostgres(url string) (source, error) {
	config, err := pq.NewConfig(url)
	if err != nil {
		// The URL holds the password, and the driver's error may hold the URL.
		return nil, fmt.Errorf("database URL: %w", redact(err))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// One round trip instead of two for a query with arguments.
	config.BinaryParameters = true
	runtime := postgresDefaults()
	maps.Copy(runtime, config.Runtime)
	config.Runtime = runtime
	return postgresSource{config: config, answerTimeout: answerTimeout}, nil
}

func (s postgresSource) pool(patient bool) (*sql.DB, error) {
	config := s.config
	if patient {
		config.Runtime = maps.Clone(config.Runtime)
		config.Runtime["statement_timeout"] = "0"
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", redact(err))
	}
	if !patient {
		connector.Dialer(boundedDialer{s.answerTimeout})
	}
	return sql.OpenDB(connector), nil
}

// boundedDialer makes connections whose reads and writes end within a limit.
type boundedDialer struct{ limit time.Duration }

func (d boundedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: 15 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn, limit: d.limit}, nil
}

func (d boundedDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d boundedDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// boundedConn gives each read and write its own deadline, no later than the
// one that was set for all.
type boundedConn struct {
	net.Conn
	limit   time.Duration
	overall atomic.Int64 // Unix nanoseconds; 0 for none
}

func (c *boundedConn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.overall.Store(0)
	} else {
		c.overall.Store(t.UnixNano())
	}
	return c.Conn.SetDeadline(t)
}

func (c *boundedConn) deadline() time.Time {
	end := time.Now().Add(c.limit)
	if overall := c.overall.Load(); overall != 0 && overall < end.UnixNano() {
		return time.Unix(0, overall)
	}
	return end
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
