package keys

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
)

// Defaults of Options, and the time for which others cache the key set: the
// refresh interval of shared/token with its jitter, rounded up.
const (
	DefaultRotateEvery = 90 * 24 * time.Hour
	DefaultReloadEvery = 10 * time.Second
	SetCacheTime       = 6 * time.Minute
)

// Options say how a Manager keeps its keys.
type Options struct {
	Store         Store
	EncryptionKey []byte        // EncryptionKeySize bytes
	OtherKeys     [][]byte      // that stored keys may be encrypted with besides: Open encrypts them anew
	Algorithm     string        // of new signing keys; empty: EdDSA
	Imported      *Private      // a key to sign with; nil: generated ones. Its type decides over Algorithm
	TokenLifetime time.Duration // the longest of any token that is signed
	RotateEvery   time.Duration // 0: DefaultRotateEvery
	ReloadEvery   time.Duration // 0: DefaultReloadEvery
	Now           func() time.Time
	Log           *slog.Logger
	Changed       func() // called after this Manager has changed the stored keys; may be nil
}

// Manager keeps the issuer's keys. It is safe for concurrent use, and one of
// several replicas on one Store. It is token.Keys for the issuer's own checks.
type Manager struct {
	options Options
	sealer  sealer
	current atomic.Pointer[keyring]
	reload  sync.Mutex // held from reading the store to replacing current
}

var _ token.Keys = (*Manager)(nil)

// Open loads the keys, and makes on the first start what is missing. It fails
// when stored keys cannot be decrypted.
func Open(ctx context.Context, o Options) (*Manager, error) {
	if o.Imported != nil {
		o.Algorithm = o.Imported.Algorithm()
	}
	o.Algorithm = orDefault(o.Algorithm, token.AlgEdDSA)
	o.RotateEvery = orDefault(o.RotateEvery, DefaultRotateEvery)
	o.ReloadEvery = orDefault(o.ReloadEvery, DefaultReloadEvery)
	if o.Store == nil || o.Now == nil || o.Log == nil || o.TokenLifetime <= 0 {
		return nil, errors.New("open signing keys: store, clock, log and token lifetime are needed")
	}
	if !slices.Contains([]string{token.AlgEdDSA, token.AlgES256, token.AlgRS256}, o.Algorithm) {
		return nil, fmt.Errorf("open signing keys: algorithm %q is not EdDSA, ES256 or RS256", o.Algorithm)
	}
	sealer, err := newSealer(o.EncryptionKey, o.OtherKeys...)
	if err != nil {
		return nil, fmt.Errorf("open signing keys: %w", err)
	}
	m := &Manager{options: o, sealer: sealer}
	if err := m.start(ctx); err != nil {
		return nil, fmt.Errorf("open signing keys: %w", err)
	}
	return m, nil
}

func orDefault[T comparable](value, def T) T {
	var zero T
	if value == zero {
		return def
	}
	return value
}

// Rotate makes the next key the active one and returns its record. When
// another replica rotates at the same time, both return the same record.
func (m *Manager) Rotate(ctx context.Context) (Record, error) {
	return m.Through(m.options.Store).Rotate(ctx)
}

// Revoke takes a key out of the set at once and returns its record. If it was
// active, the next key signs from now on. It says nothing to the gateways:
// revoking the tokens that it has signed is the caller's other half.
func (m *Manager) Revoke(ctx context.Context, kid string) (Record, error) {
	return m.Through(m.options.Store).Revoke(ctx, kid)
}

func (m *Manager) record(kid string) (Record, error) {
	for _, r := range m.current.Load().records {
		if r.KeyID == kid {
			return r, nil
		}
	}
	return Record{}, fault.New(fault.NotFound, "There is no such key.")
}

// List returns all keys that ever were, oldest first, without private halves.
func (m *Manager) List(context.Context) []Record {
	return slices.Clone(m.current.Load().records)
}

// Set returns the public keys to publish: next, active and retiring ones.
func (m *Manager) Set(context.Context) contract.JWKSet {
	return contract.JWKSet{Keys: slices.Clone(m.current.Load().set.Keys)}
}

// EventSigner returns the key that revocation events are signed with, and its
// id in the key set.
func (m *Manager) EventSigner(context.Context) (kid string, private ed25519.PrivateKey, err error) {
	events := m.current.Load().events
	private, ok := events.signer.(ed25519.PrivateKey)
	if !ok {
		return "", nil, fmt.Errorf("event key %s is not an Ed25519 key", events.KeyID())
	}
	return events.KeyID(), private, nil
}

// Key returns a published key, for the issuer's own checks of tokens.
func (m *Manager) Key(ctx context.Context, kid string) (token.Key, error) {
	return m.current.Load().verify.Key(ctx, kid)
}

// Generation grows when the set of published keys has changed.
func (m *Manager) Generation() uint64 { return m.current.Load().generation }
