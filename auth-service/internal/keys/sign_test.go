package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func part(t *testing.T, raw string, n int) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestManager_Sign_S_T11_TokensHaveEveryClaimOfTheContract(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	claims := w.claims()
	claims.Roles = nil
	raw, err := m.Sign(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	at := float64(w.now().Unix())
	want := map[string]any{
		"iss": "https://issuer.test", "aud": []any{"api"}, "client_id": "gatehouse", "sub": "user", "sid": "session", "jti": "token",
		"iat": at, "nbf": at, "exp": at + 900, "roles": []any{}, "ver": 3.0, "email_verified": true, "amr": []any{"pwd"},
	}
	if diff := cmp.Diff(want, part(t, raw, 1)); diff != "" {
		t.Errorf("claims differ (-want +got):\n%s", diff)
	}
	header := map[string]any{"typ": "at+jwt", "alg": "EdDSA", "kid": kid(t, m, keys.StateActive)}
	if diff := cmp.Diff(header, part(t, raw, 0)); diff != "" {
		t.Errorf("S-T6 header differs (-want +got):\n%s", diff)
	}
}

func TestManager_Sign_RefusesClaimsThatNoVerifierTakes(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	for name, change := range map[string]func(*contract.Claims){
		"no issuer":   func(c *contract.Claims) { c.Issuer = "" },
		"no audience": func(c *contract.Claims) { c.Audience = nil },
		"no client":   func(c *contract.Claims) { c.ClientID = "" },
		"no subject":  func(c *contract.Claims) { c.Subject = "" },
		"no session":  func(c *contract.Claims) { c.SessionID = "" },
		"no token id": func(c *contract.Claims) { c.TokenID = "" },
		"no life":     func(c *contract.Claims) { c.ExpiresAt = c.IssuedAt },
		"a long life": func(c *contract.Claims) { c.ExpiresAt = c.IssuedAt.Add(life + time.Minute) },
		"too much":    func(c *contract.Claims) { c.Subject = strings.Repeat("x", token.MaxBytes) },
	} {
		claims := w.claims()
		change(&claims)
		if raw, err := m.Sign(t.Context(), claims); err == nil {
			t.Errorf("%s: signed %s", name, raw)
		}
	}
}

func TestManager_Sign_S_T14_ES256HasALowS(t *testing.T) {
	w := newWorld()
	m := w.open(t, func(o *keys.Options) { o.Algorithm = token.AlgES256 })
	for range 64 { // half of them would be high by chance
		if _, err := w.verify(t, m, w.sign(t, m)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManager_Sign_ConcurrentWithRotation(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				raw, err := m.Sign(t.Context(), w.claims())
				if err != nil {
					t.Errorf("Sign: %v", err)
				}
				if _, err := w.verify(t, m, raw); err != nil {
					t.Errorf("Verify: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			if _, err := m.Rotate(t.Context()); err != nil {
				t.Errorf("Rotate: %v", err)
			}
		}
	})
	wg.Wait()
}

func TestManager_ListAndLogHaveNoPrivateHalves(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	if _, err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.List(t.Context()) {
		if len(r.Sealed) != 0 || bytes.Contains(r.PublicJWK, []byte(`"d"`)) {
			t.Errorf("key %s is listed with its private half", r.KeyID)
		}
	}
	set, err := json.Marshal(m.Set(t.Context()))
	if err != nil || bytes.Contains(set, []byte(`"d"`)) {
		t.Errorf("S-T20 the set has a private member (%v): %s", err, set)
	}
	if _, err := token.ParseSet(set); err != nil {
		t.Errorf("S-T20 the set is not what verifiers take: %v", err)
	}
	if strings.Contains(w.log.String(), "Sealed") || !strings.Contains(w.log.String(), "signing keys changed") {
		t.Errorf("log: %s", w.log.String())
	}
}

// tampered is a store whose rows somebody else has changed.
type tampered struct {
	keys.Store
	change func([]keys.Record) []keys.Record
	err    error
}

func (s *tampered) Keys(ctx context.Context) ([]keys.Record, error) {
	records, err := s.Store.Keys(ctx)
	if s.change != nil {
		records = s.change(records)
	}
	return records, errors.Join(err, s.err)
}

func TestManager_WhoWritesToTheDatabaseCannotPublishAKey(t *testing.T) {
	w := newWorld()
	foreign := newWorld() // has another encryption key
	stranger := foreign.open(t, func(o *keys.Options) { o.EncryptionKey = bytes.Repeat([]byte{9}, 32) })
	rows, err := foreign.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store := &tampered{Store: w.store}
	m := w.open(t, func(o *keys.Options) { o.Store = store })
	before := m.Set(t.Context())
	for name, change := range map[string]func([]keys.Record) []keys.Record{
		"a row of his own": func(rs []keys.Record) []keys.Record { return append(rs, rows...) },
		"his key in place of ours": func(rs []keys.Record) []keys.Record {
			rs[0].Sealed = rows[0].Sealed
			rs[0].KeyID = rows[0].KeyID
			return rs
		},
		"his public key": func(rs []keys.Record) []keys.Record { rs[0].PublicJWK = rows[0].PublicJWK; return rs },
	} {
		store.change = change
		_ = m.Reload(t.Context()) // an error, or no effect
		if diff := cmp.Diff(before, m.Set(t.Context())); diff != "" {
			t.Errorf("%s: the set changed (-want +got):\n%s", name, diff)
		}
	}
	if _, err := w.verify(t, m, foreign.sign(t, stranger)); err == nil {
		t.Error("his token is accepted")
	}
}

func TestManager_F23_WithoutTheDatabaseTheKnownKeysStay(t *testing.T) {
	w := newWorld()
	store := &tampered{Store: w.store}
	m := w.open(t, func(o *keys.Options) { o.Store = store })
	store.err = errors.New("database is away")
	for name, call := range map[string]func() error{
		"Reload": func() error { return m.Reload(t.Context()) },
		"Rotate": func() error { _, err := m.Rotate(t.Context()); return err },
		"Revoke": func() error { _, err := m.Revoke(t.Context(), "x"); return err },
		"Open": func() error {
			o := w.options()
			o.Store = store
			_, err := keys.Open(t.Context(), o)
			return err
		},
	} {
		if err := call(); !errors.Is(err, store.err) {
			t.Errorf("%s: got %v, want the store's error", name, err)
		}
	}
	if _, err := w.verify(t, m, w.sign(t, m)); err != nil {
		t.Errorf("signing and verifying go on, but: %v", err)
	}
	store.err, store.change = nil, func([]keys.Record) []keys.Record { return nil }
	if err := m.Reload(t.Context()); err == nil {
		t.Error("an empty store replaces the known keys")
	}
}

func TestManager_Run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		clock := func(o *keys.Options) { o.Now, o.RotateEvery = time.Now, 2*time.Hour }
		m := w.open(t, clock)
		other := w.open(t, clock)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- m.Run(ctx) }()
		go func() { ended <- other.Run(ctx) }()

		first, second := kid(t, m, keys.StateActive), kid(t, m, keys.StateNext)
		if _, err := other.Rotate(ctx); err != nil {
			t.Fatal(err)
		}
		<-time.After(13 * time.Second)
		if got := kid(t, m, keys.StateActive); got != second {
			t.Errorf("13 s after another replica rotated %s signs, want %s", got, second)
		}
		<-time.After(time.Hour)
		if got := states(m, contract.KeyUseSignature)[first]; got != keys.StateRetired {
			t.Errorf("an hour later the old key is %s, want retired", got)
		}
		third := kid(t, m, keys.StateNext)
		<-time.After(time.Hour)
		if got := kid(t, m, keys.StateActive); got != third {
			t.Errorf("after the rotation interval %s signs, want %s", got, third)
		}
		if got := len(states(m, contract.KeyUseSignature)); got != 4 {
			t.Errorf("%d signing keys, want 4: the two replicas rotated once", got)
		}
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	})
}

func TestManager_RunGoesOnAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		store := &tampered{Store: w.store}
		m := w.open(t, func(o *keys.Options) { o.Store, o.Now = store, time.Now })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		store.err = errors.New("database is away")
		go func() { ended <- m.Run(ctx) }()
		<-time.After(time.Minute)
		synctest.Wait()
		store.err = nil
		if _, err := w.open(t, func(o *keys.Options) { o.Now = time.Now }).Rotate(ctx); err != nil {
			t.Fatal(err)
		}
		<-time.After(15 * time.Second)
		if got := len(states(m, contract.KeyUseSignature)); got != 3 {
			t.Errorf("%d signing keys are known after the outage, want 3", got)
		}
		if !strings.Contains(w.log.String(), "database is away") {
			t.Error("the outage is not in the log")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, algorithm := range []string{token.AlgEdDSA, token.AlgES256, token.AlgRS256} {
		b.Run(algorithm, func(b *testing.B) {
			w := newWorld()
			o := w.options()
			o.Algorithm = algorithm
			m, err := keys.Open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			claims := w.claims()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Sign(b.Context(), claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
