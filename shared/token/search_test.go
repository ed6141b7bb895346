package token_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

func newServer(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// ready returns keys that hold the issuer's set, and its end of the wire.
func ready(t *testing.T) (*token.RemoteKeys, *tokentest.Issuer, *issuers) {
	t.Helper()
	issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
	wire.set("a", gives(issuer))
	keys := newRemote(wire, "a")
	if err := keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	wire.asked.Store(0)
	return keys, issuer, wire
}

func mustNotKnow(t *testing.T, keys *token.RemoteKeys, kid string) {
	t.Helper()
	if _, err := keys.Key(context.Background(), kid); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("%s: got %v, want ErrUnknownKey", kid, err)
	}
}

func TestRemoteKeys_S_T4_UnknownKidsCostAtMostOneRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _, wire := ready(t)
		for _, kid := range kidsOf(5000) {
			mustNotKnow(t, keys, kid)
		}
		if got := wire.asked.Load(); got != 1 {
			t.Errorf("5000 unknown kids at once made %d requests, want 1", got)
		}
		<-time.After(token.DefaultSearchEvery)
		mustNotKnow(t, keys, "garbage-0")
		if got := wire.asked.Load(); got != 1 {
			t.Errorf("a kid that was looked for made %d requests, want 1: it is remembered", got)
		}
		mustNotKnow(t, keys, "garbage-1")
		if got := wire.asked.Load(); got != 2 {
			t.Errorf("after the interval %d requests, want 2", got)
		}
		<-time.After(2 * time.Minute)
		mustNotKnow(t, keys, "garbage-0")
		if got := wire.asked.Load(); got != 3 {
			t.Errorf("after two minutes %d requests, want 3: it is not remembered for ever", got)
		}
	})
}

func TestRemoteKeys_S_T4_ManyUnknownKidsOverTimeAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, issuer, wire := ready(t)
		for _, kid := range kidsOf(3000) {
			mustNotKnow(t, keys, kid)
			<-time.After(token.DefaultSearchEvery)
		}
		if got := wire.asked.Load(); got != 3000 {
			t.Errorf("asked %d times, want once for each interval", got)
		}
		if _, err := keys.Key(t.Context(), issuer.KeyID); err != nil {
			t.Error(err)
		}
	})
}

func TestRemoteKeys_S_T4_ANewKeyIsFoundByItsFirstToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _, wire := ready(t)
		next := tokentest.New(t, token.AlgES256)
		wire.set("a", gives(next))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := keys.Key(t.Context(), next.KeyID); err != nil {
					t.Errorf("Key: %v", err)
				}
			})
		}
		wg.Wait()
		if got := wire.asked.Load(); got != 1 {
			t.Errorf("asked %d times, want once", got)
		}
	})
}

func TestRemoteKeys_S_T4_ALookMakesNobodyElseWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, issuer, wire := ready(t)
		wire.set("a", hangs)
		var wg sync.WaitGroup
		began := time.Now()
		for _, kid := range kidsOf(200) {
			wg.Go(func() { mustNotKnow(t, keys, kid) })
		}
		synctest.Wait()
		if _, err := keys.Key(t.Context(), issuer.KeyID); err != nil {
			t.Errorf("a known key: %v", err)
		}
		mustNotKnow(t, keys, "one more than may wait")
		if took := time.Since(began); took != 0 {
			t.Errorf("requests waited %v for a look at a key set that hangs", took)
		}
		wg.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("S-T16 the refusals took %v", took)
		}
	})
}

func TestRemoteKeys_ALookEndsForAllThoughItsFirstRequestWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _, wire := ready(t)
		next := tokentest.New(t, token.AlgEdDSA)
		release := make(chan struct{})
		wire.set("a", func(r *http.Request) (int, string, error) {
			select {
			case <-release:
				return 200, string(next.JWKS()), nil
			case <-r.Context().Done():
				return hangs(r)
			}
		})
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = keys.Key(gone, next.KeyID) })
		synctest.Wait()
		wg.Go(func() {
			if _, err := keys.Key(t.Context(), next.KeyID); err != nil {
				t.Errorf("the second request: %v", err)
			}
		})
		impatient, stop := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := keys.Key(impatient, next.KeyID); !errors.Is(err, token.ErrUnknownKey) {
				t.Errorf("the impatient request: %v", err)
			}
		})
		synctest.Wait()
		leave()
		stop()
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

func TestRemoteKeys_AKidThatComesLaterIsKnownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _, wire := ready(t)
		next := tokentest.New(t, token.AlgEdDSA)
		mustNotKnow(t, keys, next.KeyID)
		wire.set("a", gives(next))
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Key(t.Context(), next.KeyID); err != nil {
			t.Errorf("a kid that was remembered as unknown: %v", err)
		}
	})
}
