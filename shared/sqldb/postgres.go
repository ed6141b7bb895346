package sqldb

import (
	"database/sql"
	"fmt"
	"maps"
	"strconv"
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
		connector, err := pq.NewConnectorConfig(config)
		if err != nil {
			return nil, fmt.Errorf("database URL: %w", redact(err))
		}
		return sql.OpenDB(connector), nil
	}
	return sql.OpenDB(boundedConnector{config: config, limit: s.answerTimeout}), nil
}
