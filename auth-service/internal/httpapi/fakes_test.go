package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/httpapi"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// clock is the time of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// book is a log that can be read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// quickHasher stands in for Argon2id, which is tested where it is.
type quickHasher struct{}

func (quickHasher) Hash(_ context.Context, password string) (string, error) {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:]), nil
}

func (h quickHasher) Matches(ctx context.Context, phc, password string) (bool, error) {
	hash, err := h.Hash(ctx, password)
	return hash == phc, err
}

func (quickHasher) Outdated(string) bool { return false }

// gateways are three live nodes that apply at once.
type gateways struct{}

func (gateways) Committed(context.Context, []string) auth.Propagation {
	return auth.Propagation{Nodes: 3, Applied: 3, Elapsed: 4100 * time.Microsecond}
}

func (gateways) List() []contract.Report {
	return []contract.Report{{
		V: 1, Node: "gateway-1", Nonce: "secret-nonce", Address: "http://10.0.0.1:8080", Version: "1.2.3",
		Epoch: 2, Applied: 41, Head: 42, AgeMillis: 12.5,
	}}
}

// keyring shows a manager's keys as authapp does.
type keyring struct {
	*keys.Manager
	by *[]string // who changed a key, and which
}

func (k keyring) List(ctx context.Context) (out []httpapi.SigningKey) {
	for _, r := range k.Manager.List(ctx) {
		out = append(out, shown(r))
	}
	return out
}

func (k keyring) Rotate(ctx context.Context, c auth.Caller) (httpapi.SigningKey, error) {
	r, err := k.Manager.Rotate(ctx)
	*k.by = append(*k.by, c.Claims.Subject+" "+r.KeyID)
	return shown(r), err
}

func (k keyring) Revoke(ctx context.Context, c auth.Caller, kid string) (httpapi.SigningKey, auth.Propagation, error) {
	r, err := k.Manager.Revoke(ctx, kid)
	*k.by = append(*k.by, c.Claims.Subject+" "+r.KeyID)
	return shown(r), auth.Propagation{Nodes: 3, Applied: 3}, err
}

func shown(r keys.Record) httpapi.SigningKey {
	return httpapi.SigningKey{KeyID: r.KeyID, Use: r.Use, Algorithm: r.Algorithm, State: r.State, CreatedAt: r.CreatedAt, ActivatedAt: r.ActivatedAt}
}

// troubledStore fails with trouble, if there is any.
type troubledStore struct {
	auth.Store
	mu      sync.Mutex
	trouble error
}

func (s *troubledStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
}

func (s *troubledStore) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

func (s *troubledStore) InTx(ctx context.Context, change func(auth.Tx) error) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Store.InTx(ctx, change)
}

func (s *troubledStore) UserByEmail(ctx context.Context, email string) (auth.User, error) {
	if err := s.failure(); err != nil {
		return auth.User{}, err
	}
	return s.Store.UserByEmail(ctx, email)
}

func (s *troubledStore) MailToken(ctx context.Context, hash []byte) (auth.MailToken, error) {
	if err := s.failure(); err != nil {
		return auth.MailToken{}, err
	}
	return s.Store.MailToken(ctx, hash)
}

func (s *troubledStore) Session(ctx context.Context, id string) (auth.Session, error) {
	if err := s.failure(); err != nil {
		return auth.Session{}, err
	}
	return s.Store.Session(ctx, id)
}

// errTrouble is a failure without a kind.
var errTrouble = errors.New("disk on fire")

func unavailable() error { return fault.New(fault.Unavailable, "The database is not available.") }
