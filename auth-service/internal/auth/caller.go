package auth

import (
	"time"

	"gatehouse.internal/shared/contract"
)

// Caller is who makes a call, and from where. Claims is nil for a call that
// needs no access token; methods that need one refuse such a caller with
// fault.TokenMissing. The claims must come from a verified token.
type Caller struct {
	Claims    *contract.Claims
	Address   string // the client's address as the trusted hop tells it
	UserAgent string
	RequestID string
	// Device is the device token that the client was given at an earlier sign-in
	// and kept; empty if it has none.
	Device string
}

// Account is what an account's owner and administrators may see of it.
type Account struct {
	ID            string
	Email         string
	EmailVerified bool
	Roles         []string
	Status        string // contract.StatusActive or contract.StatusLocked
	MFAEnabled    bool
	CreatedAt     time.Time
	LastLoginAt   time.Time // zero if never
}

// Tokens is the answer to a sign-in or a refresh.
type Tokens struct {
	AccessToken      string
	ExpiresIn        time.Duration // of the access token
	RefreshToken     string
	RefreshExpiresIn time.Duration
	SessionID        string
	// DeviceToken is for the client to keep and to show at its next sign-in;
	// empty where no session was opened.
	DeviceToken string
	Account     Account
}

// SessionInfo is what its owner and administrators may see of a session.
type SessionInfo struct {
	ID         string
	Current    bool // the caller's own
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time // when it ends if it is not refreshed before
	Address    string
	UserAgent  string
	Methods    []string  // amr
	EndedAt    time.Time // zero while it lives
	EndCause   string    // why it ended: a cause of revocations, or CauseExpired
}

// Registration is a request for a new account.
type Registration struct {
	Email, Password     string
	FirstName, LastName string // optional
}

// PageRequest asks for one page of a list. An empty cursor asks for the first
// page; a limit of 0 means 50, and one above 200 is refused.
type PageRequest struct {
	Cursor string
	Limit  int
}

// Page is one page of a list. Next is empty on the last page.
type Page[T any] struct {
	Items []T
	Next  string
}

// AuditQuery selects audit events. Zero fields of the filter select everything;
// its place and its limit come from Page.
type AuditQuery struct {
	AuditFilter
	Page PageRequest
}

// Propagation tells how far a revocation had come when the call answered.
type Propagation struct {
	Nodes   int // live gateways
	Applied int // of these, how many refuse the revoked tokens already
	Elapsed time.Duration
}

// Introspection is the answer of RFC 7662 section 2.2. All fields but Active
// are zero when the token is not active.
type Introspection struct {
	Active    bool
	TokenUse  string // TokenUseAccess or TokenUseRefresh
	ClientID  string
	Subject   string
	SessionID string
	TokenID   string
	Issuer    string
	Audience  []string
	Roles     []string
	IssuedAt  time.Time
	NotBefore time.Time
	ExpiresAt time.Time
}

// Values of Introspection.TokenUse.
const (
	TokenUseAccess  = "access_token"
	TokenUseRefresh = "refresh_token"
)
