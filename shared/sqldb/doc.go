// Package sqldb opens the database of a service, PostgreSQL or SQLite, and
// makes one SQL text run on both.
//
// It promises: a pool with bounds; transactions that are run again after a
// serialization failure, a deadlock or a busy database; migrations applied
// once however many replicas start together; errors told apart by code, never
// by text. A server that is away or hangs yields an error of kind
// fault.Unavailable within a bound, never a call that waits for ever.
//
// It refuses: a SQLite URL in a program that does not link the driver (the
// package shared/embedded does), and databases in memory, which would be
// another one for each connection of the pool.
//
// Rules for the one SQL text: placeholders are $1, $2 and so on, each used for
// one column type only; types are TEXT, BIGINT, BOOLEAN and BYTEA; ids are
// TEXT; times are BIGINT microseconds (Micros, Time); no identity columns.
// ON CONFLICT, RETURNING, UPDATE ... FROM and partial indexes work in both.
// Writes belong inside InTx or ExecContext: SQLite has one writer at a time,
// and those two queue for it in order of arrival.
package sqldb
