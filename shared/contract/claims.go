package contract

import (
	"slices"
	"time"
)

// TokenType is the "typ" of access tokens (RFC 9068 section 2.1).
const TokenType = "at+jwt"

// AssertionType is the "typ" of what the gateway says of a caller to an
// upstream that wants proof, in HeaderAssertion.
const AssertionType = "gatehouse-assertion+jwt"

// ClientPeople is the client_id of tokens that people sign in with.
const ClientPeople = "gatehouse"

// Claims are the claims of an access token that was verified, or that is to
// be signed (RFC 9068 section 2.2, and our own sid, roles, ver, email_verified).
type Claims struct {
	Issuer        string
	Audience      []string
	ClientID      string
	Subject       string // user id
	SessionID     string
	TokenID       string // jti
	IssuedAt      time.Time
	NotBefore     time.Time
	ExpiresAt     time.Time
	Roles         []string
	Version       uint64 // the user's token version when the token was made
	EmailVerified bool
	Methods       []string // amr
	Withheld      []string // mfa_roles: roles of the user that count once a second factor was shown
	KeyID         string   // kid of the key that signed the token

	// Refs are what revocations are looked up by, worked out once when the
	// token is verified.
	Refs Refs
}

// Refs are the three ids of a token by which it can be revoked.
type Refs struct {
	Token, Session, User SubjectID
}

// MethodMFA is the "amr" of a session whose user has shown more than one factor
// (RFC 8176 section 2).
const MethodMFA = "mfa"

// SecondFactor reports whether the claims tell that more than one factor was
// shown.
func (c *Claims) SecondFactor() bool { return slices.Contains(c.Methods, MethodMFA) }

// OfServiceAccount reports whether the token was issued to a program that calls
// without a person: those are the clients of their own tokens.
func (c *Claims) OfServiceAccount() bool { return c.ClientID == c.Subject }

// HasRole reports whether the claims name the role.
func (c *Claims) HasRole(role string) bool {
	for _, r := range c.Roles {
		if r == role {
			return true
		}
	}
	return false
}
