package token_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

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

func TestRemoteKeys_F34_AReplicaThatHadNotHeardOfAChangeIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next, wire := tokentest.New(t, token.AlgEdDSA), tokentest.New(t, token.AlgEdDSA), &issuers{}
		wire.set("a", gives(old))
		keys := newRemote(wire, "a")
		defer running(t, keys)()
		synctest.Wait()
		for range 10 { // "the key set has changed", but this replica does not know
			if err := keys.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		wire.set("a", gives(next))
		wire.asked.Store(0)
		<-time.After(16 * time.Second)
		if _, err := keys.Key(t.Context(), old.KeyID); !errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("16 s after the change its old key gives %v, want ErrUnknownKey", err)
		}
		<-time.After(time.Minute)
		if got := wire.asked.Load(); got > 3 {
			t.Errorf("asked %d times, want one more look and no flood", got)
		}
	})
}
