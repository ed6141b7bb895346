package token_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// issuers is the issuer's end of the wire: what each replica answers, and how
// often it was asked.
type issuers struct {
	mu     sync.Mutex
	answer map[string]func(*http.Request) (status int, body string, err error)
	asked  atomic.Int64
}

func (i *issuers) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked.Add(1)
	i.mu.Lock()
	answer := i.answer[r.URL.Host]
	i.mu.Unlock()
	status, body, err := answer(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Location": {"http://evil.test/keys"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func (i *issuers) set(host string, answer func(*http.Request) (int, string, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.answer == nil {
		i.answer = map[string]func(*http.Request) (int, string, error){}
	}
	i.answer[host] = answer
}

func gives(issuer *tokentest.Issuer) func(*http.Request) (int, string, error) {
	return func(*http.Request) (int, string, error) { return http.StatusOK, string(issuer.JWKS()), nil }
}

func says(status int, body string) func(*http.Request) (int, string, error) {
	return func(*http.Request) (int, string, error) { return status, body, nil }
}

func refused(*http.Request) (int, string, error) { return 0, "", errors.New("connection refused") }

// hangs answers when the caller has given up.
func hangs(r *http.Request) (int, string, error) {
	<-r.Context().Done()
	return 0, "", r.Context().Err()
}

func newRemote(i *issuers, hosts ...string) *token.RemoteKeys {
	c := token.RemoteKeysConfig{Client: &http.Client{
		Transport:     i,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, Now: time.Now}
	for _, host := range hosts {
		c.URLs = append(c.URLs, "http://"+host+"/.well-known/jwks.json")
	}
	return token.NewRemoteKeys(c)
}

// running starts Run in the bubble and returns what stops it.
func running(t *testing.T, keys *token.RemoteKeys) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- keys.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

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

func TestRemoteKeys_WithoutASetNobodyIsToldNo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", hangs)
		keys := newRemote(wire, "a")
		verifier, err := token.NewVerifier(tokentest.Settings(), keys, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = verifier.Verify(t.Context(), issuer.Token(tokentest.Claims(time.Now())))
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("S-B7 got %v, want service_unavailable", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("S-T16 the answer took %v, want at most a second", took)
		}
		if _, ok := keys.EventKey(issuer.EventKeyID); ok || keys.Generation() != 0 {
			t.Error("there is a key or a generation before the first set")
		}
	})
}

func TestRemoteKeys_F34_ABadAnswerNeverReplacesAGoodSet(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	for name, answer := range map[string]func(*http.Request) (int, string, error){
		"refused": refused, "hangs": hangs, "empty": says(200, ""), "garbage": says(200, "<html>"), "no keys": says(200, `{"keys":[]}`),
		"unknown keys alone": says(200, `{"keys":[{"kty":"LWE","kid":"x"}]}`), "an error with a set": says(500, string(issuer.JWKS())),
		"a redirect": says(302, string(issuer.JWKS())), "no content": says(204, ""), "too large": says(200, string(issuer.JWKS())+strings.Repeat(" ", 1<<20)),
		"endless": func(*http.Request) (int, string, error) { return 200, `{"keys":[` + strings.Repeat("[", 1<<20), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wire := &issuers{}
				wire.set("a", gives(issuer))
				keys := newRemote(wire, "a")
				if err := keys.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				wire.set("a", answer)
				if err := keys.Refresh(t.Context()); err == nil {
					t.Error("a bad answer is no error")
				}
				if _, err := keys.Key(t.Context(), issuer.KeyID); err != nil || keys.Generation() != 1 {
					t.Errorf("the good set is gone: %v, generation %d", err, keys.Generation())
				}
			})
		})
	}
}

func TestRemoteKeys_F34_AnOldSetServesUntilItsMaximumAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", gives(issuer))
		keys := newRemote(wire, "a")
		defer running(t, keys)()
		synctest.Wait()
		wire.set("a", refused)
		<-time.After(token.DefaultMaxAge)
		if _, err := keys.Key(t.Context(), issuer.KeyID); err != nil {
			t.Errorf("after a day without the issuer: %v", err)
		}
		<-time.After(token.DefaultRefreshEvery * 2)
		if _, err := keys.Key(t.Context(), issuer.KeyID); err == nil || errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("after its maximum age got %v, want an error that is no answer", err)
		}
		if err := keys.Ready(t.Context()); err == nil {
			t.Error("ready with a set that is too old")
		}
	})
}

func TestRemoteKeys_TriesReplicasInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, wire := tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", hangs)
		wire.set("b", says(503, ""))
		wire.set("c", gives(issuer))
		keys := newRemote(wire, "a", "b", "c")
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		asked := wire.asked.Load()
		if err := keys.Refresh(t.Context()); err != nil || wire.asked.Load() != asked+1 {
			t.Errorf("the replica that answered is not asked first: %d requests (%v)", wire.asked.Load()-asked, err)
		}
		wire.set("c", refused)
		err := keys.Refresh(t.Context())
		for _, want := range []string{"connection refused", "503", "deadline"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not tell of %q: %v", want, err)
			}
		}
	})
}

func TestRemoteKeys_AHungReplicaLeavesTimeToFindANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next, wire := tokentest.New(t, token.AlgEdDSA), tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", gives(old))
		wire.set("b", gives(next))
		keys := newRemote(wire, "a", "b")
		if err := keys.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		wire.set("a", hangs)
		began := time.Now()
		if _, err := keys.Key(t.Context(), next.KeyID); err != nil {
			t.Errorf("Key: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
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

// endless is a body without end, which notes how much of it was read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	if e.read > 1<<24 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// roundTrip answers requests by a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRemoteKeys_F34_AnEndlessAnswerIsReadNoFurtherThanItsBound(t *testing.T) {
	body := &endless{}
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: body, Request: r}, nil
	})}
	keys := token.NewRemoteKeys(token.RemoteKeysConfig{URLs: []string{"http://a"}, Client: client})
	if err := keys.Refresh(t.Context()); err == nil {
		t.Error("an endless answer is no error")
	}
	if body.read > 2*token.MaxSetBytes {
		t.Errorf("%d bytes were read, want about %d", body.read, token.MaxSetBytes)
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

func kidsOf(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("garbage-", i)
	}
	return out
}
