package sqldb

import "fmt"

// Incarnation gives an SQL expression, of type TEXT and never empty, for what
// tells one incarnation of the database from the next: as long as it stays the
// same, nothing that was committed to the table can have been lost.
//
// For PostgreSQL that is when the server started, and which table it has: a
// server that keeps running loses nothing. A SQLite file tells nothing, so the
// expression is one for all: whoever opens the file must write down that it may
// be another one, before anything is read from it.
func (db *DB) Incarnation(table string) string {
	if db.dialect == Postgres {
		return fmt.Sprintf(`(EXTRACT(EPOCH FROM pg_postmaster_start_time())::TEXT || '/' || '%s'::REGCLASS::OID::TEXT)`, table)
	}
	return `'open'`
}
