package contract

// EpochSpan is the least by which an epoch of the revocation log is greater
// than all that its opener knows of.
//
// An epoch also names the lowest version of the tokens that are made in it, the
// epoch divided by EpochsPerVersion: a database that has lost history has lost
// versions of its users too, and must not give them out again. So a user can go
// through half of EpochSpan/EpochsPerVersion versions in an epoch before others
// may have had the same. Versions stay within 32 bits for half a million
// epochs, each opened by a start or a loss of the database.
const (
	EpochSpan        = 1 << 30
	EpochsPerVersion = 1 << 18
)
