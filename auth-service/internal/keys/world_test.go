package keys_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/keys/keystest"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

const life = 15 * time.Minute

// world is a store, a clock and the managers on them.
type world struct {
	store   keys.Store
	at      atomic.Int64
	changed atomic.Int64
	log     bytes.Buffer
	handler slog.Handler // one for all managers, because it locks what it writes to
}

func newWorld() *world {
	w := &world{store: keystest.NewMemory()}
	w.handler = slog.NewJSONHandler(&w.log, nil)
	w.at.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixNano())
	return w
}

func (w *world) now() time.Time { return time.Unix(0, w.at.Load()).UTC() }

func (w *world) move(d time.Duration) { w.at.Add(int64(d)) }

func (w *world) options() keys.Options {
	return keys.Options{
		Store: w.store, EncryptionKey: bytes.Repeat([]byte{7}, 32), TokenLifetime: life, Now: w.now,
		Log: slog.New(w.handler), Changed: func() { w.changed.Add(1) },
	}
}

// open opens a manager, another replica on every call.
func (w *world) open(t *testing.T, change ...func(*keys.Options)) *keys.Manager {
	t.Helper()
	o := w.options()
	for _, c := range change {
		c(&o)
	}
	m, err := keys.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return m
}

func (w *world) claims() contract.Claims {
	return contract.Claims{
		Issuer: "https://issuer.test", Audience: []string{"api"}, ClientID: contract.ClientPeople,
		Subject: "user", SessionID: "session", TokenID: "token", IssuedAt: w.now(), NotBefore: w.now(), ExpiresAt: w.now().Add(life),
		Roles: []string{"user"}, Version: 3, EmailVerified: true, Methods: []string{"pwd"},
	}
}

func (w *world) sign(t *testing.T, m *keys.Manager) string {
	t.Helper()
	raw, err := m.Sign(t.Context(), w.claims())
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return raw
}

// verify checks a token as a gateway does that has the manager's set.
func (w *world) verify(t *testing.T, m *keys.Manager, raw string) (*contract.Claims, error) {
	t.Helper()
	v, err := token.NewVerifier(token.Settings{Issuer: "https://issuer.test", Audience: "api"}, m, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return v.Verify(t.Context(), raw)
}

// states are the keys of a use, as state by kid.
func states(m *keys.Manager, use string) map[string]string {
	out := map[string]string{}
	for _, r := range m.List(context.Background()) {
		if r.Use == use {
			out[r.KeyID] = r.State
		}
	}
	return out
}

// kid returns the id of the one signing key in a state.
func kid(t *testing.T, m *keys.Manager, state string) string {
	t.Helper()
	found := ""
	for id, s := range states(m, contract.KeyUseSignature) {
		if s == state {
			if found != "" {
				t.Fatalf("two keys are %s: %s and %s", state, found, id)
			}
			found = id
		}
	}
	if found == "" {
		t.Fatalf("no key is %s: %v", state, states(m, contract.KeyUseSignature))
	}
	return found
}

func published(m *keys.Manager) map[string]string {
	out := map[string]string{}
	for _, k := range m.Set(context.Background()).Keys {
		out[k.KeyID] = k.Use
	}
	return out
}
