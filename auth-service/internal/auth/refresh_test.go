package auth_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func (h *harness) refresh(token string) (auth.Tokens, error) {
	return h.Refresh(h.t.Context(), stranger(), token)
}

func (h *harness) mustRefresh(token string) auth.Tokens {
	h.t.Helper()
	out, err := h.refresh(token)
	if err != nil {
		h.t.Fatalf("refresh: %v", err)
	}
	return out
}

func (h *harness) session(id string) auth.Session {
	h.t.Helper()
	s, err := h.store.Store.Session(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func TestRefresh_givesASuccessorOfTheSameSession(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	h.clock.advance(time.Hour)
	second := h.mustRefresh(first.RefreshToken)
	if second.SessionID != first.SessionID || second.RefreshToken == first.RefreshToken {
		t.Errorf("session %s and token change to %s and the same: %v", first.SessionID, second.SessionID, second.RefreshToken == first.RefreshToken)
	}
	if second.ExpiresIn != 15*time.Minute || second.RefreshExpiresIn != 7*24*time.Hour || second.Account.Email != "ada@example.com" {
		t.Errorf("answer: %+v", second)
	}
	h.alive("the new access token", second)
}

func TestRefresh_SR4_storesOnlyHashesOfTokens(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	s := h.session(first.SessionID)
	if len(s.Refresh) != 32 || len(first.RefreshToken) < 43+4 {
		t.Errorf("%d bytes are stored of a token of %d characters", len(s.Refresh), len(first.RefreshToken))
	}
	raw, err := base64.RawURLEncoding.DecodeString(first.RefreshToken[4:])
	if err != nil || string(raw[20:52]) == string(s.Refresh) {
		t.Errorf("the secret itself is stored (%v)", err)
	}
}

func TestRefresh_SR2_aRetryWithinGraceGetsTheSameSuccessor(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	second := h.mustRefresh(first.RefreshToken)
	for range 3 {
		h.clock.advance(grace/3 - time.Second)
		again := h.mustRefresh(first.RefreshToken)
		if again.RefreshToken != second.RefreshToken {
			t.Fatal("a retry got another successor")
		}
		h.alive("the retry's access token", again)
	}
	h.alive("and the successor works", h.mustRefresh(second.RefreshToken))
}

func TestRefresh_aRetryLateInTheLifeOfAnAccessTokenGetsAFullOne(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.AccessTTL, c.RefreshGrace = 10*time.Second, time.Minute })
	first := h.newUser("ada@example.com")
	h.mustRefresh(first.RefreshToken)
	h.clock.advance(30 * time.Second)
	again := h.mustRefresh(first.RefreshToken)
	if again.ExpiresIn != 10*time.Second {
		t.Errorf("the access token lives %v, want 10s", again.ExpiresIn)
	}
	if got := h.session(first.SessionID).AccessExpiresAt; got.Before(h.with(again).Claims.ExpiresAt) {
		t.Errorf("the session knows of access tokens until %v only", got)
	}
}

func TestRefresh_SR1_reuseEndsTheSession(t *testing.T) {
	for name, reuse := range map[string]func(h *harness, r []string){
		"after the successor was used": func(*harness, []string) {},
		"after the grace interval":     func(h *harness, _ []string) { h.clock.advance(grace) },
		"after many refreshes":         func(h *harness, r []string) { h.mustRefresh(h.mustRefresh(r[2]).RefreshToken) },
	} {
		t.Run(name, func(t *testing.T) {
			h := onSQLite(t)
			first := h.newUser("ada@example.com")
			r := []string{first.RefreshToken}
			var last auth.Tokens
			for range 2 {
				last = h.mustRefresh(r[len(r)-1])
				r = append(r, last.RefreshToken)
			}
			reuse(h, r)
			_, err := h.refresh(first.RefreshToken)
			wantKind(t, "reuse", err, fault.InvalidRefreshToken)
			h.dead("the whole session", last)
			if got := len(h.letters("ada@example.com", auth.MailTokenReused)); got != 1 {
				t.Errorf("%d letters tell of it, want 1", got)
			}
			if got := h.audited(9); !slices.Contains(got, "refresh failure refresh_token_reused") {
				t.Errorf("audit says %q", got)
			}
			if n := h.revocations(); n != 1 || len(h.gateway.waits) == 0 {
				t.Errorf("%d revocations, want 1, and %d waits for the gateways", n, len(h.gateway.waits))
			}
		})
	}
}

func TestRefresh_SR3_withoutGraceEveryRetryIsReuse(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.RefreshGrace = 0 })
	first := h.newUser("ada@example.com")
	second := h.mustRefresh(first.RefreshToken)
	_, err := h.refresh(first.RefreshToken)
	wantKind(t, "retry", err, fault.InvalidRefreshToken)
	h.dead("the session", second)
}

func TestRefresh_garbageTouchesNothing(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	second := h.mustRefresh(first.RefreshToken)
	before, events := h.session(first.SessionID), len(h.audited(100))
	flipped := func(i int) string {
		b := []byte(first.RefreshToken)
		b[i] ^= 1
		return string(b)
	}
	garbage := []string{"", "ghr_", "x", first.RefreshToken + "A", first.RefreshToken[:len(first.RefreshToken)-1],
		second.AccessToken, first.RefreshToken + "\n", "GHR_" + first.RefreshToken[4:]}
	for i := range first.RefreshToken {
		garbage = append(garbage, flipped(i))
	}
	for _, g := range garbage {
		_, err := h.refresh(g)
		wantKind(t, fmt.Sprintf("Refresh(%q)", g), err, fault.InvalidRefreshToken)
		wantKind(t, fmt.Sprintf("LogoutByRefreshToken(%q)", g), h.LogoutByRefreshToken(t.Context(), stranger(), g), fault.InvalidRefreshToken)
	}
	if diff := cmp.Diff(before, h.session(first.SessionID)); diff != "" {
		t.Errorf("the session changed:\n%s", diff)
	}
	if got := len(h.audited(100)); got != events {
		t.Errorf("%d audit events were written", got-events)
	}
}

func TestRefresh_SR4_sessionsEnd(t *testing.T) {
	t.Run("when they are idle for too long", func(t *testing.T) {
		h := onSQLite(t)
		first := h.newUser("ada@example.com")
		h.clock.advance(7 * 24 * time.Hour)
		_, err := h.refresh(first.RefreshToken)
		wantKind(t, "Refresh", err, fault.InvalidRefreshToken)
		if got := h.audited(1)[0]; got != "refresh failure session_over" {
			t.Errorf("audit says %q", got)
		}
	})
	t.Run("at their absolute end however often they are refreshed", func(t *testing.T) {
		h := onSQLite(t)
		last := h.newUser("ada@example.com")
		for range 8 {
			h.clock.advance(80 * time.Hour)
			last = h.mustRefresh(last.RefreshToken)
		}
		if last.RefreshExpiresIn != 80*time.Hour {
			t.Errorf("after 640 of 720 hours the session says it lives %v longer", last.RefreshExpiresIn)
		}
		h.clock.advance(80 * time.Hour)
		_, err := h.refresh(last.RefreshToken)
		wantKind(t, "Refresh", err, fault.InvalidRefreshToken)
	})
}

func TestRefresh_onlyTheCommitAdvancesTheState(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	h.store.rollBack.Store(true)
	_, err := h.refresh(first.RefreshToken)
	wantKind(t, "a rotation that is rolled back", err, fault.Unavailable)
	h.store.rollBack.Store(false)
	h.clock.advance(2 * grace)
	second := h.mustRefresh(first.RefreshToken) // the old token is good

	h.store.unknown.Store(true)
	_, err = h.refresh(second.RefreshToken)
	wantKind(t, "F26 a commit of unknown outcome", err, fault.Unavailable)
	h.store.unknown.Store(false)
	h.alive("the retry", h.mustRefresh(second.RefreshToken))

	h.signer.err = fault.New(fault.Unavailable, "no key")
	_, err = h.refresh(second.RefreshToken)
	wantKind(t, "no key to sign with", err, fault.Unavailable)
	h.signer.err = nil
	h.alive("the retry", h.mustRefresh(second.RefreshToken))
}

func TestRefresh_SR2_F36_aCrowdGetsOneSuccessor(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		first := h.newUser("ada@example.com")
		got, errs := make([]auth.Tokens, crowd), make([]error, crowd)
		var wg sync.WaitGroup
		for i := range crowd {
			wg.Go(func() { got[i], errs[i] = h.refresh(first.RefreshToken) })
		}
		wg.Wait()
		for i := range crowd {
			if errs[i] != nil {
				t.Fatalf("caller %d: %v", i, errs[i])
			}
			if got[i].RefreshToken != got[0].RefreshToken {
				t.Fatalf("caller %d got another successor", i)
			}
		}
		if s := h.session(first.SessionID); s.Generation != 1 {
			t.Errorf("the session is at generation %d, want 1", s.Generation)
		}
		h.alive("the last caller", got[crowd-1])
		h.alive("the successor", h.mustRefresh(got[0].RefreshToken))
	})
}

// TestRefresh_I10_familyFollowsTheModel plays lost answers, retries, two tabs
// and a thief: anybody may present any token that was ever given out, at any
// time. The model knows only numbers.
func TestRefresh_I10_familyFollowsTheModel(t *testing.T) {
	h := onSQLite(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		email := fmt.Sprintf("user%d@example.com", n)
		start := h.newUser(email)
		tokens := []string{start.RefreshToken} // by generation
		live, retired := true, h.clock.Now()
		r.Repeat(map[string]func(*rapid.T){
			"time passes": func(r *rapid.T) {
				h.clock.advance(time.Duration(rapid.IntRange(0, 45_000).Draw(r, "ms")) * time.Millisecond)
			},
			"a token is presented": func(r *rapid.T) {
				newest := len(tokens) - 1
				// Mostly the newest ones: others only end the session.
				age := rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, newest}).Draw(r, "age")
				g := max(0, newest-age)
				inGrace := g == newest-1 && h.clock.Now().Sub(retired) < grace
				got, err := h.refresh(tokens[g])
				switch {
				case live && g == newest:
					if err != nil {
						r.Fatalf("the newest token was refused: %v", err)
					}
					tokens, retired = append(tokens, got.RefreshToken), h.clock.Now()
				case live && inGrace:
					if err != nil || got.RefreshToken != tokens[newest] {
						r.Fatalf("a retry within grace: %v, the same successor: %v", err, err == nil && got.RefreshToken == tokens[newest])
					}
				default:
					if !fault.Is(err, fault.InvalidRefreshToken) {
						r.Fatalf("token %d of %d (live %v): got %v, want invalid_refresh_token", g, newest, live, err)
					}
					live = false
				}
			},
			"": func(r *rapid.T) { // holds after every step
				s := h.session(start.SessionID)
				if int(s.Generation) != len(tokens)-1 || s.EndedAt.IsZero() != live {
					r.Fatalf("session is at %d, live %v; the model at %d, live %v", s.Generation, s.EndedAt.IsZero(), len(tokens)-1, live)
				}
			},
		})
	})
}

func TestRefresh_goesOnWhileTheServersKeyIsReplaced(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		one, two := []byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 32))
		with := func(key []byte, others ...[]byte) *harness {
			return newHarness(t, url, func(c *auth.Config) { c.RefreshKey, c.EarlierRefreshKeys = key, others })
		}
		before, after := with(one, two), with(two, one)
		tokens := before.newUser("ada@example.com")
		after.clock.advance(time.Second)
		first, err := before.Refresh(t.Context(), stranger(), tokens.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		again, err := after.Refresh(t.Context(), stranger(), tokens.RefreshToken) // the answer was lost
		if err != nil {
			t.Fatalf("a retry at a replica with the next key: %v", err)
		}
		if _, err := after.Refresh(t.Context(), stranger(), first.RefreshToken); err != nil {
			t.Fatalf("the successor from the first replica: %v", err)
		}
		later, err := before.Refresh(t.Context(), stranger(), again.RefreshToken) // the same successor, in another spelling, tried again
		if err != nil {
			t.Fatalf("the successor from the second replica: %v", err)
		}
		alone := with(two)
		if _, err := alone.Refresh(t.Context(), stranger(), later.RefreshToken); !fault.Is(err, fault.InvalidRefreshToken) {
			t.Errorf("a token of a key that was given up: %v", err)
		}
		if last, err := after.Refresh(t.Context(), stranger(), later.RefreshToken); err != nil {
			t.Error(err)
		} else if _, err := alone.Refresh(t.Context(), stranger(), last.RefreshToken); err != nil {
			t.Errorf("a token that was refreshed with the next key: %v", err)
		}
	})
}
