package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Defaults of Settings.
const (
	DefaultLeeway      = 30 * time.Second
	DefaultMaxLifetime = time.Hour
	maxLeeway          = 60 * time.Second
)

// Settings say which tokens are accepted.
type Settings struct {
	Issuer      string        // iss, byte for byte
	Audience    string        // must be among aud
	Type        string        // typ; empty: that of access tokens
	Algorithms  []string      // allowed ones; empty: all that the package knows
	Leeway      time.Duration // for clocks that differ; 0: DefaultLeeway
	MaxLifetime time.Duration // longest exp-iat; 0: DefaultMaxLifetime
}

// Keys is where a Verifier finds the issuer's keys.
type Keys interface {
	// Key returns the key with exactly that id, of whatever use and
	// algorithm. It returns ErrUnknownKey if the issuer has none, may return
	// ErrRevokedKey if the issuer had one and took it back, and returns any
	// other error if that cannot be known now.
	Key(ctx context.Context, kid string) (Key, error)
	// Generation grows whenever the set of keys has changed.
	Generation() uint64
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	settings Settings
	keys     Keys
	now      func() time.Time
}

// NewVerifier returns a Verifier, or says what is wrong with the settings.
func NewVerifier(s Settings, keys Keys, now func() time.Time) (*Verifier, error) {
	known := []string{AlgEdDSA, AlgEd25519, AlgES256, AlgRS256}
	if len(s.Algorithms) == 0 {
		s.Algorithms = known
	}
	if s.Type == "" {
		s.Type = contract.TokenType
	}
	if s.Leeway == 0 {
		s.Leeway = DefaultLeeway
	}
	if s.MaxLifetime == 0 {
		s.MaxLifetime = DefaultMaxLifetime
	}
	var problems []error
	if s.Issuer == "" || s.Audience == "" || keys == nil || now == nil {
		problems = append(problems, errors.New("token verifier needs an issuer, an audience, keys and a clock"))
	}
	for _, alg := range s.Algorithms {
		if !slices.Contains(known, alg) {
			problems = append(problems, fmt.Errorf("token algorithm %q is not one of %v", alg, known))
		}
	}
	if s.Leeway < 0 || s.Leeway > maxLeeway {
		problems = append(problems, fmt.Errorf("clock leeway %v is not within 0 and %v", s.Leeway, maxLeeway))
	}
	if s.MaxLifetime < 0 {
		problems = append(problems, fmt.Errorf("maximum token lifetime %v is negative", s.MaxLifetime))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &Verifier{settings: s, keys: keys, now: now}, nil
}

// Verify returns the claims of raw. Its failures are token_expired for a token
// that is good but for its age, token_revoked for one that names a key which was
// taken back, service_unavailable when the key set cannot be had, and
// token_invalid for everything else. The cause in them never holds
// any part of the token.
func (v *Verifier) Verify(ctx context.Context, raw string) (*contract.Claims, error) {
	claims, err := v.verify(ctx, raw)
	switch {
	case err == nil:
		return claims, nil
	case fault.Is(err, fault.Unavailable):
		return nil, err
	case errors.Is(err, ErrRevokedKey):
		return nil, fault.Wrap(fault.TokenRevoked, "The key that signed the token was revoked.", err)
	case errors.Is(err, errExpired):
		return nil, fault.Wrap(fault.TokenExpired, "The access token has expired.", err)
	default:
		return nil, fault.Wrap(fault.TokenInvalid, "The access token is not valid.", err)
	}
}

// verify judges all that costs little before it looks up a key, so that only
// tokens which look like ours can cause a refresh of the key set.
func (v *Verifier) verify(ctx context.Context, raw string) (*contract.Claims, error) {
	parts, err := splitCompact(raw)
	if err != nil {
		return nil, err
	}
	head, err := parseHeader(parts.header, v.settings.Type, v.settings.Algorithms)
	if err != nil {
		return nil, err
	}
	claims, err := parseClaims(parts.payload)
	if err != nil {
		return nil, err
	}
	if err := v.checkParties(claims); err != nil {
		return nil, err
	}
	now := v.now()
	if err := v.checkTimes(claims, now); err != nil {
		return nil, err
	}
	if err := v.checkSignature(ctx, head, parts); err != nil {
		return nil, err
	}
	if !now.Before(claims.ExpiresAt.Add(v.settings.Leeway)) {
		return nil, errExpired
	}
	claims.KeyID = head.keyID
	return claims, nil
}

func (v *Verifier) checkParties(c *contract.Claims) error {
	if c.Issuer != v.settings.Issuer {
		return errors.New("claim iss names another issuer")
	}
	if !slices.Contains(c.Audience, v.settings.Audience) {
		return errors.New("claim aud does not name this API")
	}
	return nil
}

// checkTimes judges all times but the end, which only counts once the
// signature is known to be good.
func (v *Verifier) checkTimes(c *contract.Claims, now time.Time) error {
	latest := now.Add(v.settings.Leeway)
	if c.IssuedAt.After(latest) {
		return errors.New("claim iat lies in the future")
	}
	if c.NotBefore.After(latest) {
		return errors.New("claim nbf lies in the future")
	}
	if life := c.ExpiresAt.Sub(c.IssuedAt); life <= 0 || life > v.settings.MaxLifetime {
		return fmt.Errorf("lifetime %v is not within 0 and %v", life, v.settings.MaxLifetime)
	}
	return nil
}

// checkSignature finds the key and binds the token to it: same algorithm, a
// key for tokens, and a signature in its one form.
func (v *Verifier) checkSignature(ctx context.Context, head header, parts compact) error {
	key, err := v.keys.Key(ctx, head.keyID)
	if errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrRevokedKey) {
		return err
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "The issuer's keys are not available now.", fmt.Errorf("look up signing key: %w", err))
	}
	if key.Use != contract.KeyUseSignature {
		return errors.New("key is not one for tokens")
	}
	if key.Algorithm != head.algorithm {
		return errors.New("header alg is not the key's algorithm")
	}
	return key.verify(parts.signed, parts.signature)
}
