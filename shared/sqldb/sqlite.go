package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sqliteOptions are settings of every SQLite connection. FULL makes a commit
// survive a power loss; immediate takes the write lock when a transaction
// begins, because a lock that is upgraded later can fail without waiting.
const sqliteOptions = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
	"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=journal_size_limit(67108864)&_txlock=immediate"

// errNoSQLite is what a program without the driver says.
var errNoSQLite = errors.New("this program has no SQLite linked: use a postgres:// URL, or the standalone program")

// sqliteSource is a database file.
type sqliteSource struct{ dsn string }

func newSQLite(url string) (source, error) {
	if !slices.Contains(sql.Drivers(), string(SQLite)) {
		return nil, errNoSQLite
	}
	path := strings.TrimPrefix(strings.TrimPrefix(url, "sqlite:"), "//")
	if path == "" || strings.Contains(path, ":memory:") || strings.ContainsAny(path, "?\x00") {
		return nil, fmt.Errorf("database URL %q must be sqlite: and the path of a file, without options", url)
	}
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("create database file: %w", err)
	}
	// The path goes into a URI: what has a meaning there is escaped.
	escaped := strings.NewReplacer("%", "%25", "#", "%23").Replace(filepath.ToSlash(path))
	return sqliteSource{dsn: "file:" + escaped + sqliteOptions}, nil
}

// createPrivate makes the file, if it is not there, readable by its owner
// alone; SQLite gives the files it adds beside it the same mode.
func createPrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func (s sqliteSource) pool(bool) (*sql.DB, error) { return sql.Open(string(SQLite), s.dsn) }
