package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// accessClaims are the claims in their JSON form (RFC 9068 section 2.2).
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID      string   `json:"client_id"`
	SessionID     string   `json:"sid"`
	Roles         []string `json:"roles"`
	Version       uint64   `json:"ver"`
	EmailVerified bool     `json:"email_verified"`
	Methods       []string `json:"amr,omitempty"`
	Withheld      []string `json:"mfa_roles,omitempty"`
}

// Sign returns an access token with the claims, signed by the active key.
// Claims that a verifier would refuse for want of an id, an audience or a
// sensible lifetime are an error here.
func (m *Manager) Sign(_ context.Context, c contract.Claims) (string, error) {
	if err := m.checkClaims(c); err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	active := m.current.Load().active
	unsigned := jwt.NewWithClaims(active.method(), accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    c.Issuer,
			Subject:   c.Subject,
			Audience:  c.Audience,
			ID:        c.TokenID,
			IssuedAt:  jwt.NewNumericDate(c.IssuedAt),
			NotBefore: date(c.NotBefore),
			ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
		ClientID:      c.ClientID,
		SessionID:     c.SessionID,
		Roles:         append([]string{}, c.Roles...), // an array, never null
		Version:       c.Version,
		EmailVerified: c.EmailVerified,
		Methods:       c.Methods,
		Withheld:      c.Withheld,
	})
	unsigned.Header["typ"] = contract.TokenType
	unsigned.Header["kid"] = active.KeyID()
	raw, err := unsigned.SignedString(active.signer)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	if len(raw) > token.MaxBytes {
		return "", fmt.Errorf("sign access token: %d bytes are more than verifiers take", len(raw))
	}
	return raw, nil
}

func date(t time.Time) *jwt.NumericDate {
	if t.IsZero() {
		return nil
	}
	return jwt.NewNumericDate(t)
}

func (m *Manager) checkClaims(c contract.Claims) error {
	for _, id := range []string{c.Issuer, c.ClientID, c.Subject, c.SessionID, c.TokenID} {
		if id == "" {
			return errors.New("issuer, client, subject, session and token id are needed")
		}
	}
	if len(c.Audience) == 0 {
		return errors.New("an audience is needed")
	}
	if life := c.ExpiresAt.Sub(c.IssuedAt); life <= 0 || life > m.options.TokenLifetime+time.Second {
		return fmt.Errorf("lifetime %v is not within 0 and %v", life, m.options.TokenLifetime)
	}
	return nil
}

// method is how the key signs.
func (p *Private) method() jwt.SigningMethod {
	switch p.algorithm {
	case token.AlgES256:
		return lowS{jwt.SigningMethodES256}
	case token.AlgRS256:
		return jwt.SigningMethodRS256
	default:
		return jwt.SigningMethodEdDSA
	}
}

// lowS is ES256 whose signatures have the low s that our verifiers demand.
type lowS struct{ *jwt.SigningMethodECDSA }

// Sign signs text with an *ecdsa.PrivateKey.
func (m lowS) Sign(text string, key any) ([]byte, error) {
	signature, err := m.SigningMethodECDSA.Sign(text, key)
	token.NormalizeES256(signature)
	return signature, err
}
