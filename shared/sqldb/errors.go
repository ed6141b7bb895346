package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"gatehouse.internal/shared/fault"
)

// SQLite result codes (https://sqlite.org/rescode.html). The low byte of an
// extended code is its primary code. The driver itself is not imported, so
// that services without SQLite do not link it; its errors tell their code.
const (
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteNoMemory   = 7
	sqliteReadOnly   = 8
	sqliteInterrupt  = 9
	sqliteIOError    = 10
	sqliteFull       = 13
	sqliteCantOpen   = 14
	sqliteProtocol   = 15
	sqliteForeignKey = 787
	sqlitePrimaryKey = 1555
	sqliteUnique     = 2067
	sqliteRowID      = 2579
)

// sqliteCode gives the result code of a SQLite error, and 0 for other errors.
func sqliteCode(err error) int {
	var coded interface {
		error
		Code() int
	}
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

// postgresCode gives the SQLSTATE of a PostgreSQL error, and "" for others.
func postgresCode(err error) pqerror.Code {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code
	}
	return ""
}

// IsUnique reports whether err says that a row with the same unique key is
// already there.
func IsUnique(err error) bool {
	switch sqliteCode(err) {
	case sqliteUnique, sqlitePrimaryKey, sqliteRowID:
		return true
	}
	return postgresCode(err) == pqerror.UniqueViolation
}

// IsForeignKey reports whether err says that a row which another one refers to
// is not there.
func IsForeignKey(err error) bool {
	return sqliteCode(err) == sqliteForeignKey || postgresCode(err) == pqerror.ForeignKeyViolation
}

// retryable reports whether the same transaction may well succeed when it is
// run again: it has had no effect, and what stood in its way passes.
func retryable(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqliteBusy, sqliteLocked:
		return true
	}
	switch postgresCode(err) {
	case pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected:
		return true
	}
	return errors.Is(err, errStale)
}

// Unavailable turns the failures which mean that the database is away, full or
// too busy into a failure of kind fault.Unavailable. Every other error, and
// nil, comes back unchanged.
func Unavailable(err error) error {
	if err == nil || !unavailable(err) {
		return err
	}
	if _, classified := errors.AsType[*fault.Error](err); classified {
		return err
	}
	return fault.Wrap(fault.Unavailable, "The database cannot be reached right now.", err)
}

func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the caller went away, not the database
	}
	lost := []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded}
	if slices.ContainsFunc(lost, func(target error) bool { return errors.Is(err, target) }) {
		return true
	}
	if _, network := errors.AsType[net.Error](err); network {
		return true
	}
	switch sqliteCode(err) & 0xff {
	case sqliteBusy, sqliteLocked, sqliteNoMemory, sqliteReadOnly, sqliteInterrupt,
		sqliteIOError, sqliteFull, sqliteCantOpen, sqliteProtocol:
		return true
	}
	return unavailableState(postgresCode(err))
}

// unavailableState reports whether a SQLSTATE is about the server and not
// about the statement.
func unavailableState(code pqerror.Code) bool {
	if len(code) != 5 {
		return false
	}
	switch code.Class() {
	case pqerror.ClassConnectionException, pqerror.ClassTransactionRollback,
		pqerror.ClassInsufficientResources, pqerror.ClassOperatorIntervention, pqerror.ClassSystemError:
		return true
	}
	// A primary that became a replica, a lock that took too long, and a
	// transaction that sat idle for too long.
	return slices.Contains([]pqerror.Code{"25006", "55P03", "25P03"}, code)
}
