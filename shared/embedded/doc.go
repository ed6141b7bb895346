// Package embedded runs NATS, Redis and SQLite inside this process, for the
// standalone program and for tests. Importing it links the SQLite driver under
// the name "sqlite", which shared/sqldb opens.
//
// It promises: servers on loopback addresses only, ready when Start returns;
// a NATS server whose acknowledged messages are on disk; a Redis whose keys
// expire with the clock; Close within a bound. The Redis keeps nothing over a
// restart and is meant for a single machine.
package embedded

import _ "modernc.org/sqlite" // registers the driver "sqlite"
