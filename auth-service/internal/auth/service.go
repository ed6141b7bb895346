package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse.internal/shared/contract"
)

// Config holds the settings of a Service. Zero durations and lengths take the
// defaults of CONTRACT.md.
type Config struct {
	Issuer   string
	Audience []string

	AccessTTL    time.Duration // life of an access token, 15 m
	RefreshTTL   time.Duration // idle life of a session, 7 d
	SessionTTL   time.Duration // absolute life of a session, 30 d
	RefreshGrace time.Duration // how long the newest retired refresh token may be retried; 0 never

	PasswordMinLength int // in code points, 15

	// RefreshKey is the server's secret from which successors of refresh tokens
	// are derived; at least 32 bytes. Changing it ends every session.
	RefreshKey []byte

	// Clients may introspect and revoke tokens.
	Clients []Client
}

// Signer turns claims into a signed access token.
type Signer interface {
	Sign(ctx context.Context, claims contract.Claims) (string, error)
}

// Verifier checks an access token. It fails with fault.TokenInvalid or
// fault.TokenExpired for a bad token, and otherwise if it cannot tell.
type Verifier interface {
	Verify(ctx context.Context, raw string) (*contract.Claims, error)
}

// Revoker carries committed revocations to the gateways.
type Revoker interface {
	// Committed is called after a transaction which added the revocations with
	// these ids was committed. It returns when every live gateway has applied
	// them, or after a bounded wait. It cannot fail: what is committed reaches
	// the gateways even if nobody waits for it.
	Committed(ctx context.Context, ids []string) Propagation
}

// Parts are what a Service is built from. All are needed but WakeOutbox.
type Parts struct {
	Store    Store
	Signer   Signer
	Verifier Verifier
	Revoker  Revoker
	Hasher   Hasher
	Now      func() time.Time // time.Now in production
	Random   io.Reader        // crypto/rand.Reader in production
	// WakeOutbox is called after a commit that put a message into the outbox.
	WakeOutbox func()
}

// Service is the front of this package; see the package comment.
type Service struct {
	config Config
	store  Store
	sign   Signer
	verify Verifier
	revoke Revoker
	hash   Hasher
	now    func() time.Time
	random io.Reader
	wake   func()
}

// New returns a Service, or every problem of the settings at once.
func New(c Config, p Parts) (*Service, error) {
	if p.Store == nil || p.Signer == nil || p.Verifier == nil || p.Revoker == nil || p.Hasher == nil {
		return nil, errors.New("auth service: a part is missing")
	}
	if len(c.RefreshKey) < 32 {
		return nil, fmt.Errorf("auth service: the refresh key has %d bytes, at least 32 are needed", len(c.RefreshKey))
	}
	return &Service{config: c, store: p.Store, sign: p.Signer, verify: p.Verifier, revoke: p.Revoker,
		hash: p.Hasher, now: p.Now, random: p.Random, wake: p.WakeOutbox}, nil
}
