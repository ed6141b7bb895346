package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gatehouse.internal/auth-service/internal/auth/password"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/shared/contract"
)

// MaxRefreshGrace bounds Config.RefreshGrace: within the grace interval a thief
// who saw the newest retired refresh token gets its successor.
const MaxRefreshGrace = 10 * time.Minute

// Config holds the settings of a Service. Zero durations and lengths take the
// defaults of CONTRACT.md.
type Config struct {
	Issuer   string
	Audience []string

	AccessTTL    time.Duration // life of an access token, 15 m
	RefreshTTL   time.Duration // idle life of a session, 7 d
	SessionTTL   time.Duration // absolute life of a session, 30 d
	RefreshGrace time.Duration // how long the newest retired refresh token may be retried; 0 never

	// MaxSessions bounds the live sessions of one user; a sign-in beyond it ends
	// the one that was not used for the longest time. 0 is no bound.
	MaxSessions int

	PasswordMinLength int // in code points, 15
	PasswordHistory   int // how many earlier passwords cannot be chosen again, 5

	// RefreshKey is the server's secret from which successors of refresh tokens
	// are derived; at least 32 bytes. Changing it ends every session, but for EarlierRefreshKeys.
	RefreshKey []byte
	// EarlierRefreshKeys are those that were RefreshKey before, or will be: tokens,
	// of sessions and of devices, that were made with them are good, too.
	EarlierRefreshKeys [][]byte

	// FactorKeys encrypt the secrets of second factors, 32 bytes each: the first
	// one seals, all open.
	FactorKeys [][]byte
	// MFARoles count with a second factor only: a token of a session that has
	// not shown one does not name them.
	MFARoles []string

	// Clients may introspect and revoke tokens.
	Clients []Client

	// Roles are those that may be given to users; role.Open() if nil.
	Roles *role.Table

	// Limits bound what can be tried. They need Parts.Throttle.
	Limits Limits
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
	// these ids was committed, and again by whoever finds them there. It returns when every live gateway has applied
	// them, or after a bounded wait. It cannot fail: what is committed reaches
	// the gateways even if nobody waits for it.
	Committed(ctx context.Context, ids []string) Propagation
}

// Parts are what a Service is built from. All are needed but Now, Random,
// WakeOutbox, Log and, where nothing shall be bounded, Throttle.
type Parts struct {
	Store    Store
	Signer   Signer
	Verifier Verifier
	Revoker  Revoker
	Hasher   Hasher
	Codes    OneTimeCodes
	// Ceremonies are nil where there are no passkeys: browsers have them only for
	// sites with a name.
	Ceremonies Ceremonies
	Throttle   Throttle
	Now        func() time.Time // time.Now in production
	Random     io.Reader        // crypto/rand.Reader in production
	// WakeOutbox is called after a commit that put a message into the outbox.
	WakeOutbox func()
	// Log gets what nobody waits for; slog.DiscardHandler by default.
	Log *slog.Logger
}

// Service is the front of this package; see the package comment.
type Service struct {
	config      Config
	refreshKeys refreshKeys
	devices     deviceKeys
	boundKey    []byte
	throttle    Throttle
	rules       password.Rules
	store       Store
	sign        Signer
	verify      Verifier
	revoke      Revoker
	hash        Hasher
	codes       OneTimeCodes
	ceremonies  Ceremonies
	factorKeys  sealer
	now         func() time.Time
	random      io.Reader
	wake        func()
	log         *slog.Logger
}

// New returns a Service, or every problem of the settings at once.
func New(c Config, p Parts) (*Service, error) {
	c = c.withDefaults()
	keys, err := newRefreshKeys(c.RefreshKey, c.EarlierRefreshKeys...)
	factorKeys, sealErr := newSealer(c.FactorKeys)
	if err = errors.Join(err, sealErr, c.check(), p.check()); err != nil {
		return nil, err
	}
	s := &Service{
		config: c, refreshKeys: keys, rules: password.Rules{MinLength: c.PasswordMinLength, Service: []string{"gatehouse"}},
		store: p.Store, sign: p.Signer, verify: p.Verifier, revoke: p.Revoker, hash: p.Hasher,
		codes: p.Codes, ceremonies: p.Ceremonies, factorKeys: factorKeys,
		now: p.Now, random: p.Random, wake: p.WakeOutbox, log: p.Log, throttle: p.Throttle,
		devices: newDeviceKeys(append([][]byte{c.RefreshKey}, c.EarlierRefreshKeys...)...), boundKey: keyed(c.RefreshKey, purposeBounds),
	}
	if s.throttle == nil {
		s.throttle = unthrottled{}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.wake == nil {
		s.wake = func() {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Purposes of the keys that are derived from Config.RefreshKey.
const (
	purposeDevices = "gatehouse auth: device tokens, 1"
	purposeBounds  = "gatehouse auth: keys of bounds, 1"
)

func (c Config) withDefaults() Config {
	c.AccessTTL = cmp.Or(c.AccessTTL, 15*time.Minute)
	c.RefreshTTL = cmp.Or(c.RefreshTTL, 7*24*time.Hour)
	c.SessionTTL = cmp.Or(c.SessionTTL, 30*24*time.Hour)
	c.Limits.Recipient = cmp.Or(c.Limits.Recipient, defaultRecipient)
	c.PasswordHistory = cmp.Or(c.PasswordHistory, DefaultPasswordHistory)
	c.PasswordMinLength = cmp.Or(c.PasswordMinLength, password.DefaultMinLength)
	if c.Roles == nil {
		c.Roles = role.Open()
	}
	return c
}

func (c Config) check() error {
	var problems []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("auth service: "+format, args...))
		}
	}
	refuse(c.Issuer == "", "the issuer is missing")
	refuse(len(c.Audience) == 0, "the audience is missing")
	refuse(c.AccessTTL < time.Second, "an access token must live for 1s at least, not %v", c.AccessTTL)
	refuse(c.RefreshTTL < time.Second, "a session must live idle for 1s at least, not %v", c.RefreshTTL)
	refuse(c.SessionTTL < c.RefreshTTL, "the absolute life of a session, %v, is below its idle life, %v", c.SessionTTL, c.RefreshTTL)
	refuse(c.MaxSessions < 0, "the bound of sessions, %d, is below 0", c.MaxSessions)
	refuse(c.RefreshGrace < 0 || c.RefreshGrace > MaxRefreshGrace, "the refresh grace %v is not within 0s and %v", c.RefreshGrace, MaxRefreshGrace)
	refuse(c.PasswordMinLength < password.LeastMinLength || c.PasswordMinLength > 64,
		"the least length of passwords, %d, is not within %d and 64", c.PasswordMinLength, password.LeastMinLength)
	if err := c.Limits.check(); err != nil {
		problems = append(problems, fmt.Errorf("auth service: limits: %w", err))
	}
	refuse(c.PasswordHistory < 1 || c.PasswordHistory > MaxPasswordHistory,
		"the number of remembered passwords, %d, is not within 1 and %d", c.PasswordHistory, MaxPasswordHistory)
	refuse(len(c.RefreshKey) < 32, "the refresh key has %d bytes, at least 32 are needed", len(c.RefreshKey))
	for _, client := range c.Clients {
		refuse(client.ID == "" || len(client.SecretHash) != sha256.Size, "client %q needs an id and the SHA-256 of a secret", client.ID)
	}
	return errors.Join(problems...)
}

func (p Parts) check() error {
	if p.Store == nil || p.Signer == nil || p.Verifier == nil || p.Revoker == nil || p.Hasher == nil || p.Codes == nil {
		return errors.New("auth service: it needs a store, a signer, a verifier, a revoker, a hasher and one-time codes")
	}
	return nil
}
