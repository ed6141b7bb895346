package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
)

func TestOpen_TheFirstStartMakesKeys(t *testing.T) {
	for _, algorithm := range []string{"", token.AlgEdDSA, token.AlgES256, token.AlgRS256} {
		t.Run("algorithm "+algorithm, func(t *testing.T) {
			w := newWorld()
			m := w.open(t, func(o *keys.Options) { o.Algorithm = algorithm })
			eventKid, private, err := m.EventSigner(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				kid(t, m, keys.StateActive): contract.KeyUseSignature, kid(t, m, keys.StateNext): contract.KeyUseSignature, eventKid: contract.KeyUseEvents,
			}
			if diff := cmp.Diff(want, published(m)); diff != "" {
				t.Errorf("published keys differ (-want +got):\n%s", diff)
			}
			got, err := w.verify(t, m, w.sign(t, m))
			if err != nil {
				t.Fatalf("its own token: %v", err)
			}
			want2 := w.claims()
			want2.KeyID, want2.Refs = kid(t, m, keys.StateActive), got.Refs
			if diff := cmp.Diff(&want2, got); diff != "" {
				t.Errorf("claims differ (-want +got):\n%s", diff)
			}
			key, err := m.Key(t.Context(), eventKid)
			if err != nil || !private.Public().(ed25519.PublicKey).Equal(key.Public) {
				t.Errorf("the event key is not the published one: %v", err)
			}
			if w.changed.Load() != 1 {
				t.Errorf("the change was told %d times, want once", w.changed.Load())
			}
		})
	}
}

func TestOpen_ASecondStartFindsTheKeysAgain(t *testing.T) {
	w := newWorld()
	first := w.open(t)
	raw := w.sign(t, first)
	second := w.open(t)
	if diff := cmp.Diff(first.List(t.Context()), second.List(t.Context())); diff != "" {
		t.Errorf("the keys changed (-first +second):\n%s", diff)
	}
	if _, err := w.verify(t, second, raw); err != nil {
		t.Errorf("a token from before: %v", err)
	}
	if w.changed.Load() != 1 {
		t.Error("a start without a change was told as one")
	}
}

func TestOpen_AWrongEncryptionKeyIsAnErrorAndMakesNoKeys(t *testing.T) {
	w := newWorld()
	if _, err := w.open(t).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.move(time.Hour) // something is due: the old key's retirement
	before, err := w.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.EncryptionKey = bytes.Repeat([]byte{8}, 32)
	if _, err := keys.Open(t.Context(), o); err == nil {
		t.Fatal("opened")
	} else if want := "AUTH_ENCRYPTION_KEY"; !strings.Contains(err.Error(), want) {
		t.Errorf("the error does not name %s: %v", want, err)
	}
	after, err := w.store.Keys(t.Context())
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("the stored keys changed (%v, -before +after):\n%s", err, diff)
	}
}

func TestOpen_RefusesBadOptions(t *testing.T) {
	w := newWorld()
	for name, change := range map[string]func(*keys.Options){
		"no store":           func(o *keys.Options) { o.Store = nil },
		"no clock":           func(o *keys.Options) { o.Now = nil },
		"no log":             func(o *keys.Options) { o.Log = nil },
		"no lifetime":        func(o *keys.Options) { o.TokenLifetime = 0 },
		"a short key":        func(o *keys.Options) { o.EncryptionKey = []byte("short") },
		"a symmetric method": func(o *keys.Options) { o.Algorithm = "HS256" },
	} {
		o := w.options()
		change(&o)
		if _, err := keys.Open(t.Context(), o); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if got := len(w.open(t).List(t.Context())); got != 3 {
		t.Errorf("%d keys, want the 3 of the last, good start", got)
	}
}

func TestOpen_AnotherAlgorithmSignsAtOnceAndTheOldKeysVerify(t *testing.T) {
	w := newWorld()
	raw := w.sign(t, w.open(t))
	m := w.open(t, func(o *keys.Options) { o.Algorithm = token.AlgES256 })
	if _, err := w.verify(t, m, raw); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	got, err := w.verify(t, m, w.sign(t, m))
	if err != nil {
		t.Fatal(err)
	}
	key, err := m.Key(t.Context(), got.KeyID)
	if err != nil || key.Algorithm != token.AlgES256 {
		t.Errorf("signed with %s (%v), want ES256", key.Algorithm, err)
	}
	again := w.open(t, func(o *keys.Options) { o.Algorithm = token.AlgES256 })
	if diff := cmp.Diff(m.List(t.Context()), again.List(t.Context())); diff != "" {
		t.Errorf("the next start changed the keys again (-want +got):\n%s", diff)
	}
}

func TestManager_Revoke(t *testing.T) {
	for _, state := range []string{keys.StateNext, keys.StateActive, keys.StateRetiring} {
		t.Run("an emergency takes a key out that is "+state, func(t *testing.T) {
			w := newWorld()
			m := w.open(t)
			if _, err := m.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			bad, next := kid(t, m, state), kid(t, m, keys.StateNext)
			raw := w.sign(t, m)
			generation := m.Generation()
			r, err := m.Revoke(t.Context(), bad)
			if err != nil || r.State != keys.StateRevoked || !r.RetiredAt.Equal(w.now()) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if _, there := published(m)[bad]; there || m.Generation() <= generation {
				t.Error("F34 the key is still published")
			}
			if state == keys.StateActive {
				if _, err := w.verify(t, m, raw); !fault.Is(err, fault.TokenInvalid) {
					t.Errorf("its token: %v", err)
				}
				if got := kid(t, m, keys.StateActive); got != next {
					t.Errorf("now %s signs, want the next key %s", got, next)
				}
			}
			if kid(t, m, keys.StateNext) == bad {
				t.Error("no new key is next")
			}
			if _, err := w.verify(t, m, w.sign(t, m)); err != nil {
				t.Error(err)
			}
			if _, err := m.Revoke(t.Context(), bad); err != nil {
				t.Errorf("revoking it again: %v", err)
			}
		})
	}
}

func TestManager_RevokeTheEventKey(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	old, _, err := m.EventSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Revoke(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if now, _, err := m.EventSigner(t.Context()); err != nil || now == old || published(m)[now] != contract.KeyUseEvents {
		t.Errorf("the event key is %s (%v), want a new one that is published", now, err)
	}
}

func TestManager_RevokeAnUnknownKey(t *testing.T) {
	if _, err := newWorld().open(t).Revoke(t.Context(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v, want not_found", err)
	}
}

func imported(t *testing.T) *keys.Private {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","d":%q,"x":%q}`, base64url(private.Seed()), base64url(private.Public().(ed25519.PublicKey)))
	p, err := keys.ParsePrivate([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestManager_AnImportedKeySigns(t *testing.T) {
	w := newWorld()
	p := imported(t)
	raw := w.sign(t, w.open(t, func(o *keys.Options) { o.Algorithm = token.AlgES256 }))
	with := func(o *keys.Options) { o.Imported, o.Algorithm = p, token.AlgES256 }
	m := w.open(t, with)
	if got := kid(t, m, keys.StateActive); got != p.KeyID() {
		t.Errorf("%s is active, want the imported %s", got, p.KeyID())
	}
	if claims, err := w.verify(t, m, w.sign(t, m)); err != nil || claims.KeyID != p.KeyID() {
		t.Errorf("got %v, %v", claims, err)
	}
	if _, err := w.verify(t, m, raw); err != nil {
		t.Errorf("a token from before the import: %v", err)
	}
	if got := w.open(t, with); kid(t, got, keys.StateActive) != p.KeyID() || len(got.List(t.Context())) != len(m.List(t.Context())) {
		t.Error("a second start with the same key is not the same")
	}
	next := kid(t, m, keys.StateNext)
	if key, err := m.Key(t.Context(), next); err != nil || key.Algorithm != token.AlgEdDSA {
		t.Errorf("the next key is for %s (%v), want the imported key's EdDSA", key.Algorithm, err)
	}
	if _, err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := kid(t, w.open(t, with), keys.StateActive); got != next {
		t.Errorf("after a rotation the start makes %s active, want %s: the imported key was rotated out", got, next)
	}
	if _, err := m.Revoke(t.Context(), p.KeyID()); err != nil {
		t.Fatal(err)
	}
	o := w.options()
	with(&o)
	if _, err := keys.Open(t.Context(), o); err == nil {
		t.Error("a revoked key can be imported again")
	}
}

func TestManager_AnImportedKeyOnTheFirstStart(t *testing.T) {
	w := newWorld()
	p := imported(t)
	m := w.open(t, func(o *keys.Options) { o.Imported = p })
	if got := kid(t, m, keys.StateActive); got != p.KeyID() || len(states(m, contract.KeyUseSignature)) != 2 {
		t.Errorf("%s is active among %v, want the imported %s and a next", got, states(m, contract.KeyUseSignature), p.KeyID())
	}
}
