package auth

import (
	"time"

	"gatehouse.internal/shared/contract"
)

// User is an account as it is stored.
type User struct {
	ID            string
	Email         string // lower case; unique
	EmailVerified bool
	Roles         []string // sorted
	Status        string   // contract.StatusActive or contract.StatusLocked
	PasswordHash  string   // PHC string
	FirstName     string
	LastName      string
	Version       uint64 // the lowest of tokens that are good: raised by whatever makes older tokens bad
	LeastVersion  uint64 // what tokens made now have at least; the Store says so and keeps it for no user
	Revision      int64  // of the account: raised by every change that others are told of
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastLoginAt   time.Time // zero if never
	MFAEnabled    bool      // the user has a second factor, and signs in with it
}

// TokenVersion is the version of tokens that are made now. It is above any that
// a history of the database may have given out which the database has lost.
func (u *User) TokenVersion() uint64 { return max(u.Version, u.LeastVersion) }

// Session is one sign-in of a user on one device. Refresh holds the SHA-256 of
// the newest refresh token, whose number is Generation, and Retired that of the
// one before it, which was replaced at RotatedAt.
type Session struct {
	ID              string
	UserID          string
	ClientID        string
	Methods         []string // amr; grows when a second factor is shown
	CreatedAt       time.Time
	LastSeenAt      time.Time
	IdleExpiresAt   time.Time // when it ends if it is not refreshed before
	ExpiresAt       time.Time // when it ends however often it is refreshed
	AccessExpiresAt time.Time // when the last access token made for it expires
	EndedAt         time.Time // zero while it lives
	EndCause        string
	Generation      uint32
	Refresh         []byte
	Retired         []byte // nil before the first refresh
	RotatedAt       time.Time
	Address         string // of the newest use
	UserAgent       string
}

// MailToken is a secret that was mailed to an address, to prove that its
// reader owns the address.
type MailToken struct {
	Hash      []byte // SHA-256 of the token
	Purpose   string
	UserID    string
	Address   string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Purposes of mail tokens. A token is good for its own purpose alone.
const (
	PurposeVerifyEmail   = "verify_email"
	PurposeChangeEmail   = "change_email"
	PurposeResetPassword = "reset_password"
)

// Revocation is a row of the revocation log that the sequencer will number.
type Revocation struct {
	ID         string
	Kind       contract.RevocationKind
	Subject    string // user, session or token id
	MinVersion uint64 // for the user kinds
	Cause      string
	ExpiresAt  time.Time // when the last token it kills has expired, on every clock
	CreatedAt  time.Time
}

// AuditEvent says who did what to whom, from where and with what outcome. It
// never holds a secret, a token or a mail address.
type AuditEvent struct {
	ID        string
	At        time.Time
	Event     string
	Outcome   string // OutcomeSuccess or OutcomeFailure
	Reason    string // why it failed, what caused it, or what it set; in one word
	ActorID   string // who did it; empty for a stranger and for the system
	TargetID  string // the user it was done to
	SessionID string
	Address   string
	UserAgent string
	RequestID string
}

// NumberedEvent is an event that has its place in the audit trail.
type NumberedEvent struct {
	AuditEvent
	Number uint64
	Hash   [32]byte // of the event and all before it; see package trail
}

// Values of AuditEvent.Outcome.
const (
	OutcomeSuccess = "success"
	OutcomeFailure = "failure"
)

// OutboxMessage is something to be told after the commit: a letter (TopicMail,
// a Mail in JSON) or an account event (TopicAccount, a contract.Event in JSON).
type OutboxMessage struct {
	ID      string
	Topic   string
	Payload []byte
}

// Topics of outbox messages.
const (
	TopicMail    = "mail"
	TopicAccount = "account"
)
