package token

import (
	"errors"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
)

// Bounds of what claims may hold.
const (
	maxID      = 255
	maxList    = 64           // entries of aud, roles, amr and mfa_roles
	maxTime    = 253402300799 // the last second of year 9999
	maxVersion = 1<<53 - 1    // what every JSON reader keeps exact
)

func knownClaims() []string {
	return []string{"iss", "aud", "client_id", "sub", "sid", "jti", "iat", "nbf", "exp", "roles", "ver", "email_verified", "amr", "mfa_roles"}
}

// parseClaims reads claims and their types. It does not judge them against
// the clock or the settings; Verifier does. Unknown claims are ignored.
func parseClaims(data []byte) (*contract.Claims, error) {
	m, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if err := m.noVariantsOf(knownClaims()); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	r := claimReader{members: m}
	c := &contract.Claims{
		Issuer:        r.id("iss"),
		Audience:      r.audience(),
		ClientID:      r.id("client_id"),
		Subject:       r.id("sub"),
		SessionID:     r.id("sid"),
		TokenID:       r.id("jti"),
		IssuedAt:      r.time("iat", true),
		NotBefore:     r.time("nbf", false),
		ExpiresAt:     r.time("exp", true),
		Roles:         r.list("roles"),
		Version:       r.version(),
		EmailVerified: r.boolean("email_verified"),
		Methods:       r.list("amr"),
		Withheld:      r.list("mfa_roles"),
	}
	if r.err != nil {
		return nil, r.err
	}
	c.Refs = contract.Refs{
		Token:   contract.ParseSubjectID(c.TokenID),
		Session: contract.ParseSubjectID(c.SessionID),
		User:    contract.ParseSubjectID(c.Subject),
	}
	return c, nil
}

// claimReader takes claims out of members and keeps the first problem.
type claimReader struct {
	members members
	err     error
}

func (r *claimReader) fail(name, problem string) {
	if r.err == nil {
		r.err = fmt.Errorf("claim %s %s", name, problem)
	}
}

// id reads a claim that must be there and be a short visible text. Revocation
// is looked up by these, and they travel on in headers.
func (r *claimReader) id(name string) string {
	out, err := r.members.text(name)
	if err != nil || !visible(out) || len(out) > maxID {
		r.fail(name, "is missing or not an id")
	}
	return out
}

// audience reads aud, which is a string or an array of strings (RFC 7519
// section 4.1.3).
func (r *claimReader) audience() []string {
	if value, ok := r.members.get("aud"); ok && value[0] == '"' {
		return []string{r.id("aud")}
	}
	out := r.list("aud")
	if len(out) == 0 {
		r.fail("aud", "is missing or empty")
	}
	return out
}

// list reads an optional array of visible texts. A comma is refused in them,
// because upstreams get roles in a comma-separated header.
func (r *claimReader) list(name string) []string {
	value, ok := r.members.get(name)
	if !ok {
		return nil
	}
	out, ok := parseTexts(value)
	if !ok || len(out) > maxList {
		r.fail(name, "is not a list of strings")
		return nil
	}
	for _, entry := range out {
		if !visible(entry) || len(entry) > maxID {
			r.fail(name, "has an entry that is not a name")
		}
	}
	return out
}

// time reads a NumericDate in whole seconds.
func (r *claimReader) time(name string, required bool) time.Time {
	value, ok := r.members.get(name)
	if !ok {
		if required {
			r.fail(name, "is missing")
		}
		return time.Time{}
	}
	seconds, ok := parseInteger(value, maxTime)
	if !ok {
		r.fail(name, "is not a time in whole seconds")
	}
	return time.Unix(int64(seconds), 0).UTC()
}

func (r *claimReader) version() uint64 {
	value, ok := r.members.get("ver")
	if !ok {
		r.fail("ver", "is missing")
		return 0
	}
	out, ok := parseInteger(value, maxVersion)
	if !ok {
		r.fail("ver", "is not a whole number")
	}
	return out
}

func (r *claimReader) boolean(name string) bool {
	value, ok := r.members.get(name)
	if ok && string(value) != "true" && string(value) != "false" {
		r.fail(name, "is not true or false")
	}
	return string(value) == "true"
}

// visible reports whether text is not empty and all visible ASCII without a
// comma, so that it can stand in a header and in a comma-separated list.
func visible(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == ',' {
			return false
		}
	}
	return text != ""
}

var errExpired = errors.New("token is past its exp")
