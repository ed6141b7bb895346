package auth

import (
	"context"
	"time"
)

// Store is the storage that Service needs. Times come back in UTC with
// microseconds. A record that does not exist is fault.NotFound; a database that
// is away or too busy is fault.Unavailable, and never an answer about a caller.
type Store interface {
	Reader
	// InTx runs change in one transaction and commits if it returns nil. Nothing
	// of it is visible to others before the commit, and nothing remains of one
	// that failed. change may run again after a conflict with another
	// transaction, so it must start from nothing each time.
	InTx(ctx context.Context, change func(tx Tx) error) error
	// NotRefreshed counts live sessions whose newest refresh token was made before
	// the given time, and tells when the last of them ends if it is not refreshed;
	// the zero time if there is none.
	NotRefreshed(ctx context.Context, before, now time.Time) (n int, until time.Time, err error)
	// Prune deletes sessions that reached their absolute end, mail tokens that
	// expired and notes of letters that were sent before the given time, at most
	// limit of each, and returns how many rows went.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Reader reads what is committed, and inside a transaction also what the
// transaction itself wrote.
type Reader interface {
	MachineReader
	FactorReader
	PasskeyReader
	ContestReader
	PlaceReader
	HashReader
	DeviceReader
	// User returns the user with the id. Its LeastVersion is never below that of
	// any read before, and above every version that may have been given out for
	// tokens by a history which the database has lost.
	User(ctx context.Context, id string) (User, error)
	// Users returns users by id, from the one after the given on.
	Users(ctx context.Context, after string, limit int) ([]User, error)
	// UserByEmail returns the user with the lower-cased address.
	UserByEmail(ctx context.Context, email string) (User, error)
	// Session returns a session, also one that has ended or expired.
	Session(ctx context.Context, id string) (Session, error)
	// LiveSessions returns sessions of a user that have neither ended nor
	// expired, or those that have, newest first.
	LiveSessions(ctx context.Context, q LiveQuery) ([]Session, error)
	// MailToken returns the mail token with the hash.
	MailToken(ctx context.Context, hash []byte) (MailToken, error)
	// PastPasswords returns the newest n hashes of earlier passwords.
	PastPasswords(ctx context.Context, userID string, n int) ([]string, error)
	// TokenRevoked reports whether the access token with this id was revoked by
	// itself.
	TokenRevoked(ctx context.Context, tokenID string) (bool, error)
	// Revocations returns the ids of revocations of a user, session or token that
	// are in the log and matter still, newest first.
	Revocations(ctx context.Context, q RevocationQuery) ([]string, error)
	// HasAdministrator reports whether any account has the role admin.
	HasAdministrator(ctx context.Context) (bool, error)
	// Audit returns events newest first.
	Audit(ctx context.Context, f AuditFilter) ([]AuditEvent, error)
	// NumberedAudit returns events that have a number above after, by number.
	NumberedAudit(ctx context.Context, f AuditFilter, after uint64) ([]NumberedEvent, error)
}

// LiveQuery selects live sessions of a user, or ended ones.
type LiveQuery struct {
	UserID string
	Ended  bool // those that have ended or expired, in the place of the live ones
	At     time.Time
	After  string // id of the last session of the page before
	Limit  int
}

// RevocationQuery selects revocations of a subject that have not expired.
type RevocationQuery struct {
	Subject string
	At      time.Time
	Limit   int
}

// AuditFilter selects audit events; zero fields select everything. Before is
// the place of the last event of the page before.
type AuditFilter struct {
	UserID    string // as actor or as target
	ActorID   string
	TargetID  string
	SessionID string
	Address   string
	RequestID string
	Event     string
	Outcome   string
	From, To  time.Time
	BeforeAt  time.Time
	BeforeID  string
	Limit     int
}

// Tx is a transaction. The row of a user is the lock for everything that
// belongs to the user: a transaction that changes the user, or one of the
// user's sessions, holds it, so that two such transactions follow one another.
// LockAdministrators comes before LockUser.
type Tx interface {
	Reader
	UserTx
	SessionTx
	FactorTx
	PasskeyTx
	ContestTx
	JournalTx
	MachineTx
}

// UserTx changes users.
type UserTx interface {
	// LockUser returns the user as of the moment the lock was got.
	LockUser(ctx context.Context, id string) (User, error)
	// LockAdministrators makes transactions follow one another that may take an
	// administrator away.
	LockAdministrators(ctx context.Context) error
	// OtherAdministrators counts the administrators besides id who are not
	// locked.
	OtherAdministrators(ctx context.Context, id string) (int, error)
	// AddUser adds a user. A taken address is fault.Conflict, and the
	// transaction goes on.
	AddUser(ctx context.Context, u User) error
	// SaveUser writes all fields of a user but ID and CreatedAt. A taken address
	// is fault.Conflict, after which the transaction cannot go on.
	SaveUser(ctx context.Context, u User) error
	// DeleteUser removes the user with all sessions, mail tokens and passwords.
	DeleteUser(ctx context.Context, id string) error
	// AddPastPassword remembers a hash, and forgets all but the newest keep.
	AddPastPassword(ctx context.Context, p PastPassword) error
}

// PastPassword is a password that a user once had.
type PastPassword struct {
	ID     string // orders them
	UserID string
	Hash   string
	At     time.Time
	Keep   int // how many of the newest stay, with this one
}

// SessionTx changes sessions.
type SessionTx interface {
	// AddSession adds a session.
	AddSession(ctx context.Context, s Session) error
	// SaveSession writes what changes in a session's life: the methods, the times
	// but CreatedAt, the refresh state, address and user agent.
	SaveSession(ctx context.Context, s Session) error
	// LockLostSessions makes transactions follow one another that revoke sessions
	// which the database does not know. It comes after LockUser.
	LockLostSessions(ctx context.Context) error
	// EndSessions ends the sessions of a user that have not ended yet and
	// returns how many.
	EndSessions(ctx context.Context, userID, cause string, at time.Time) (int, error)
	// LatestAccess returns when the last access token made for any of the
	// user's sessions expires, and the zero time if there is none.
	LatestAccess(ctx context.Context, userID string) (time.Time, error)
}

// JournalTx writes what is told to others, and what proves an address.
type JournalTx interface {
	// AddRevocation appends to the revocation log.
	AddRevocation(ctx context.Context, r Revocation) error
	// AddAudit appends to the audit trail.
	AddAudit(ctx context.Context, e AuditEvent) error
	// AddErasure notes that the user's id in the audit trail is to be replaced by
	// a pseudonym, in place of what was noted for the user before.
	AddErasure(ctx context.Context, e Erasure) error
	// Enqueue puts a message into the outbox.
	Enqueue(ctx context.Context, m OutboxMessage, at time.Time) error
	// NoteMail notes that a letter goes to a recipient and reports true, unless
	// as many as allowed went there already.
	NoteMail(ctx context.Context, n MailNote) (bool, error)
	// AddMailToken adds a mail token.
	AddMailToken(ctx context.Context, t MailToken) error
	// TakeMailToken deletes the token with the hash and reports whether it was
	// there. Of several that take the same token one gets true.
	TakeMailToken(ctx context.Context, hash []byte) (bool, error)
	// DropMailTokens deletes the user's tokens for a purpose.
	DropMailTokens(ctx context.Context, userID, purpose string) error
}

// MailNote is a letter that shall go to a recipient, if at most Most-1 went
// there since the given time.
type MailNote struct {
	ID        string
	Recipient []byte // SHA-256 of the address, and of what kind of letter it is
	At, Since time.Time
	Most      int
}
