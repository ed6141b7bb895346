package contract

import "time"

// Types of account events (CloudEvents "type"), published to
// Subjects.Account(type) once the change that caused them is committed.
const (
	AccountRegistered      = "account.registered"
	AccountEmailVerified   = "account.email_verified"
	AccountEmailChanged    = "account.email_changed"
	AccountPasswordChanged = "account.password_changed"
	AccountRolesChanged    = "account.roles_changed"
	AccountStatusChanged   = "account.status_changed"
	AccountSignedIn        = "account.signed_in"
	AccountDeleted         = "account.deleted"
	// AccountAnnounced tells the state of an account without a change of it, for
	// those who begin from nothing.
	AccountAnnounced = "account.announced"
)

// States of an account.
const (
	StatusActive  = "active"
	StatusLocked  = "locked"
	StatusDeleted = "deleted"
)

// Event is a CloudEvents 1.0 message in JSON (structured mode).
type Event struct {
	SpecVersion     string    `json:"specversion"` // "1.0"
	ID              string    `json:"id"`          // UUIDv7; also the NATS message id
	Source          string    `json:"source"`      // "auth-service"
	Type            string    `json:"type"`
	Subject         string    `json:"subject"` // the account's id
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"` // "application/json"
	Data            Account   `json:"data"`
}

// Account is the whole state of an account after the event, so that a
// consumer needs no earlier event to understand it. Version grows by one with
// each change: a consumer keeps the state with the highest version and ignores
// the others, so duplicates and reordering do no harm.
type Account struct {
	ID            string     `json:"id"`
	Version       int64      `json:"version"`
	Email         string     `json:"email"`
	EmailVerified bool       `json:"email_verified"`
	Roles         []string   `json:"roles"`
	Status        string     `json:"status"`
	FirstName     string     `json:"first_name,omitempty"` // as given at registration
	LastName      string     `json:"last_name,omitempty"`
	CreatedAt     time.Time  `json:"created_at"`
	LastLoginAt   *time.Time `json:"last_login_at,omitempty"`
}
