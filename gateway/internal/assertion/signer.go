package assertion

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
)

// The bounds of assertions.
const (
	// Lifetime is how long an assertion is good, unless its token ends before.
	Lifetime = time.Minute
	// reuse is how old one may be that is given out again, so that it reaches
	// its upstream with some time left.
	reuse = Lifetime / 2
	// kept bounds how many are kept, twice: the newest, and those before.
	kept = 20_000
)

// Signer makes assertions. It is safe for concurrent use.
type Signer struct {
	keys   *Keys
	issuer string
	head   string // encoded
	now    func() time.Time

	mu         sync.Mutex
	newer, old map[subject]signed
}

// subject is whom an assertion is about and for: the whole token, so that two
// tokens never share one.
type subject struct{ token, audience string }

type signed struct {
	text  string
	until time.Time // when it is not given out any more
}

// NewSigner returns a Signer that names itself issuer.
func NewSigner(keys *Keys, issuer string, now func() time.Time) (*Signer, error) {
	head, err := json.Marshal(struct {
		Type      string `json:"typ"`
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}{contract.AssertionType, "EdDSA", keys.id})
	if err != nil {
		return nil, fmt.Errorf("encode the head of assertions: %w", err)
	}
	return &Signer{
		keys: keys, issuer: issuer, head: base64.RawURLEncoding.EncodeToString(head), now: now,
		newer: map[subject]signed{}, old: map[subject]signed{},
	}, nil
}

// claims are those of the caller's token, but for the issuer, the audience and
// the times.
type claims struct {
	Issuer        string   `json:"iss"`
	Audience      string   `json:"aud"`
	ClientID      string   `json:"client_id"`
	Subject       string   `json:"sub"`
	SessionID     string   `json:"sid"`
	TokenID       string   `json:"jti"`
	IssuedAt      int64    `json:"iat"`
	ExpiresAt     int64    `json:"exp"`
	Roles         []string `json:"roles"`
	Version       uint64   `json:"ver"`
	EmailVerified bool     `json:"email_verified"`
	Methods       []string `json:"amr"`
}

// Assertion gives the assertion for an audience about the caller with a token
// and its claims, which have been judged just now.
func (s *Signer) Assertion(token string, c *contract.Claims, audience string) (string, error) {
	now, about := s.now(), subject{token, audience}
	if text := s.known(about, now); text != "" {
		return text, nil
	}
	until := now.Add(Lifetime)
	if c.ExpiresAt.Before(until) {
		until = c.ExpiresAt
	}
	body, err := json.Marshal(claims{
		Issuer: s.issuer, Audience: audience, ClientID: c.ClientID, Subject: c.Subject, SessionID: c.SessionID, TokenID: c.TokenID,
		IssuedAt: min(now.Unix(), until.Unix()-1), ExpiresAt: until.Unix(), // leeway may have let a token pass that has just expired
		Roles: notNil(c.Roles), Version: c.Version, EmailVerified: c.EmailVerified, Methods: notNil(c.Methods),
	})
	if err != nil {
		return "", fmt.Errorf("encode an assertion: %w", err)
	}
	text := s.head + "." + base64.RawURLEncoding.EncodeToString(body)
	text += "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.keys.private, []byte(text)))
	if reusable := now.Add(reuse); until.After(reusable) {
		s.keep(about, signed{text, reusable})
	}
	return text, nil
}

func notNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (s *Signer) known(about subject, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, has := s.newer[about]
	if !has {
		found = s.old[about]
	}
	if now.Before(found.until) {
		return found.text
	}
	return ""
}

func (s *Signer) keep(about subject, made signed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.newer) >= kept {
		s.newer, s.old = s.old, s.newer
		clear(s.newer)
	}
	s.newer[about] = made
}
