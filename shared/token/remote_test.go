package token_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

func TestRemoteKeys_FetchesAtStartAndEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", gives(issuer))
		keys := newRemote(wire, "a")
		if err := keys.Ready(t.Context()); err == nil {
			t.Error("ready before the first fetch")
		}
		defer running(t, keys)()
		synctest.Wait()
		if err := keys.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
		if _, err := keys.Key(t.Context(), issuer.KeyID); err != nil {
			t.Errorf("Key: %v", err)
		}
		if got, ok := keys.EventKey(issuer.EventKeyID); !ok || !got.Equal(issuer.EventKey.Public()) {
			t.Error("the event key is not there")
		}
		<-time.After(time.Hour)
		if got := wire.asked.Load(); got < 11 || got > 14 {
			t.Errorf("asked %d times in an hour, want every 5 minutes give or take a tenth", got)
		}
		if got := keys.Generation(); got != 1 {
			t.Errorf("generation %d although nothing changed, want 1", got)
		}
	})
}

func TestRemoteKeys_RetriesQuicklyAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", refused)
		keys := newRemote(wire, "a")
		defer running(t, keys)()
		<-time.After(time.Second)
		if got := wire.asked.Load(); got < 4 || got > 7 {
			t.Errorf("asked %d times in the first second, want a few", got)
		}
		<-time.After(time.Hour)
		if got := wire.asked.Load(); got > 8200 {
			t.Errorf("asked %d times in an hour without a set, want about two a second", got)
		}
		wire.set("a", gives(issuer))
		<-time.After(600 * time.Millisecond)
		if err := keys.Ready(t.Context()); err != nil {
			t.Errorf("600 ms after the issuer came: %v", err)
		}
		wire.set("a", refused)
		<-time.After(6 * time.Minute) // the next refresh and its retries
		wire.asked.Store(0)
		<-time.After(time.Hour)
		if got := wire.asked.Load(); got < 300 || got > 420 {
			t.Errorf("asked %d times in an hour of outage, want about every 10 s", got)
		}
	})
}

func TestRemoteKeys_GenerationGrowsWithTheSet(t *testing.T) {
	a, b, wire := tokentest.New(t, token.AlgEdDSA), tokentest.New(t, token.AlgES256), &issuers{}
	keys := newRemote(wire, "a")
	for i, want := range []struct {
		issuer     *tokentest.Issuer
		generation uint64
	}{{a, 1}, {a, 1}, {b, 2}, {b, 2}, {a, 3}} {
		wire.set("a", gives(want.issuer))
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keys.Generation(); got != want.generation {
			t.Errorf("step %d: generation %d, want %d", i, got, want.generation)
		}
	}
	if _, err := keys.Key(t.Context(), b.KeyID); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("a key that left the set gives %v, want ErrUnknownKey", err)
	}
}

func TestRemoteKeys_GenerationGrowsWithAChangeOfUse(t *testing.T) {
	issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
	second := tokentest.JWK(issuer.EventKey.Public(), issuer.EventKeyID, "sig")
	keys := newRemote(wire, "a")
	for i, use := range []string{"sig", "gatehouse-events", "gatehouse-events", "sig"} {
		second.Use = use
		set := setOf(tokentest.JWK(issuer.Key.Public(), issuer.KeyID, "sig"), second)
		wire.set("a", says(http.StatusOK, string(set)))
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := keys.Generation(), []uint64{1, 2, 2, 3}[i]; got != want {
			t.Errorf("step %d: generation %d, want %d", i, got, want)
		}
	}
}

func TestRemoteKeys_RefreshDoesNotCountAnAnswerFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next, wire := tokentest.New(t, token.AlgEdDSA), tokentest.New(t, token.AlgEdDSA), &issuers{}
		release := make(chan struct{})
		wire.set("a", func(*http.Request) (int, string, error) {
			<-release
			return 200, string(old.JWKS()), nil
		})
		keys := newRemote(wire, "a")
		var wg sync.WaitGroup
		wg.Go(func() { _ = keys.Refresh(t.Context()) })
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				if err := keys.Refresh(t.Context()); err != nil {
					t.Errorf("Refresh: %v", err)
				}
				if _, err := keys.Key(t.Context(), next.KeyID); err != nil {
					t.Errorf("after Refresh: %v", err)
				}
			})
		}
		synctest.Wait()
		wire.set("a", gives(next))
		close(release)
		wg.Wait()
		if got := wire.asked.Load(); got != 2 {
			t.Errorf("asked %d times, want the one before and one shared by ten callers", got)
		}
	})
}

func TestRemoteKeys_LogsNoKeys(t *testing.T) {
	issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
	wire.set("a", gives(issuer))
	var log bytes.Buffer
	keys := token.NewRemoteKeys(token.RemoteKeysConfig{
		URLs: []string{"http://a"}, Client: &http.Client{Transport: wire}, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	if err := keys.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), issuer.KeyID) || strings.Contains(log.String(), tokentest.JWK(issuer.Key.Public(), "", "").X) {
		t.Errorf("the log should name kids and nothing more: %s", log.String())
	}
}

func TestRemoteKeys_WithoutURLs(t *testing.T) {
	if err := newRemote(&issuers{}).Refresh(t.Context()); err == nil {
		t.Error("no URL is no error")
	}
	if err := newRemote(&issuers{}, "a\x7f").Refresh(t.Context()); err == nil {
		t.Error("a malformed URL is no error")
	}
}

func TestRemoteKeys_OverHTTPWithItsOwnClient(t *testing.T) {
	issuer := tokentest.New(t, token.AlgRS256)
	elsewhere := newServer(t, issuer)
	redirect := newServer(t, http.RedirectHandler(elsewhere, http.StatusFound))
	keys := token.NewRemoteKeys(token.RemoteKeysConfig{URLs: []string{redirect}})
	if err := keys.Refresh(t.Context()); err == nil {
		t.Error("S-T3 a redirect is followed")
	}
	keys = token.NewRemoteKeys(token.RemoteKeysConfig{URLs: []string{redirect, elsewhere}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- keys.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); keys.Ready(ctx) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("not ready in 10 s")
		}
		<-time.After(time.Millisecond)
	}
	if _, err := keys.Key(ctx, issuer.KeyID); err != nil {
		t.Errorf("Key: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}
