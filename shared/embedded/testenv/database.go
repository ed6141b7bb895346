package testenv

import (
	"net/url"
	"path/filepath"
	"testing"

	_ "gatehouse.internal/shared/embedded" // links the SQLite driver
	"gatehouse.internal/shared/sqldb"
)

// EachDatabase runs a test as "sqlite" on a fresh file and as "postgres" on a
// fresh schema, which is dropped afterwards. GATEHOUSE_TEST_DATABASE_URL names
// another PostgreSQL than the local one.
func EachDatabase(t *testing.T, run func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { run(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { run(t, Postgres(t)) })
}

// SQLite gives the URL of a database file that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// Postgres gives the URL of a fresh schema of the real PostgreSQL, which is
// dropped after the test. It skips the test where there is no server.
func Postgres(t testing.TB) string {
	t.Helper()
	server := setting("GATEHOUSE_TEST_DATABASE_URL", "postgres://root@127.0.0.1:5432/test?sslmode=disable")
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal("GATEHOUSE_TEST_DATABASE_URL is not a URL")
	}
	requireServer(t, "PostgreSQL", parsed.Host)
	schema := unique()
	execute(t, server, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { execute(t, server, "DROP SCHEMA "+schema+" CASCADE") })
	query := parsed.Query()
	query.Set("search_path", schema)
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

// execute runs one statement on a connection of its own.
func execute(t testing.TB, url, statement string) {
	t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	db, err := sqldb.Open(ctx, url)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	if _, err := db.ExecContext(ctx, statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("close the test database: %v", err)
	}
}
