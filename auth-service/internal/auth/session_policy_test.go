package auth_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// causes gives why the caller's ended sessions ended, newest first.
func (h *harness) causes(c auth.Caller) []string {
	h.t.Helper()
	page, err := h.Sessions(h.t.Context(), c, true, auth.PageRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, s := range page.Items {
		if s.EndedAt.IsZero() {
			h.t.Errorf("session %s ended for %q at no time", s.ID, s.EndCause)
		}
		out = append(out, s.EndCause)
	}
	return out
}

func TestMaxSessions_theLeastRecentlyUsedGivesWay(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.MaxSessions = 2 })
	first := h.newUser("ada@example.com")
	second := h.login("ada@example.com")
	h.clock.advance(time.Second)
	first, err := h.Refresh(t.Context(), stranger(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	third := h.login("ada@example.com")
	h.dead("the session that was not used", second)
	h.alive("the older one that was", first)
	h.alive("the new one", third)
	if got := h.causes(h.with(third)); !slices.Equal(got, []string{auth.CauseTooManySessions}) {
		t.Errorf("ended for %q", got)
	}
}

func TestMaxSessions_holdsForSignInsAtOnce(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url, func(c *auth.Config) { c.MaxSessions = 1 })
		h.register("ada@example.com")
		var in sync.WaitGroup
		for range 8 {
			in.Go(func() {
				if _, err := h.Login(t.Context(), stranger(), "ada@example.com", goodPassword); err != nil {
					t.Errorf("login: %v", err)
				}
			})
		}
		in.Wait()
		last := h.login("ada@example.com")
		page, err := h.Sessions(t.Context(), h.with(last), false, auth.PageRequest{})
		if err != nil || len(page.Items) != 1 || !page.Items[0].Current {
			t.Errorf("live sessions %+v (%v), want the last one alone", page.Items, err)
		}
	})
}

func TestEndOtherSessions_leavesTheCallersOwn(t *testing.T) {
	h := onSQLite(t)
	one, two := h.newUser("ada@example.com"), h.login("ada@example.com")
	own, foreign := h.login("ada@example.com"), h.newUser("eve@example.com")
	for _, want := range []int{2, 0} {
		if n, err := h.EndOtherSessions(t.Context(), h.with(own)); n != want || err != nil {
			t.Errorf("ended %d (%v), want %d", n, err, want)
		}
	}
	h.dead("one", one)
	h.dead("two", two)
	h.alive("the caller's own", own)
	h.alive("another user's", foreign)
	if got := h.causes(h.with(own)); !slices.Equal(got, []string{auth.CauseSessionEnded, auth.CauseSessionEnded}) {
		t.Errorf("ended for %q", got)
	}
	_, err := h.EndOtherSessions(t.Context(), h.with(one))
	wantKind(t, "by a session that has ended", err, fault.TokenRevoked)
}

func TestEndOtherSessions_endsABoundedNumberInATransaction(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	for range 450 {
		h.login("ada@example.com")
	}
	own := h.login("ada@example.com")
	h.gateway.waits = nil
	if n, err := h.EndOtherSessions(t.Context(), h.with(own)); n != 450 || err != nil {
		t.Errorf("ended %d (%v), want 450", n, err)
	}
	told := 0
	for _, ids := range h.gateway.waits {
		if told += len(ids); len(ids) > 200 {
			t.Errorf("one transaction ended %d sessions", len(ids))
		}
	}
	if told != 450 {
		t.Errorf("the gateways were told of %d sessions", told)
	}
	h.alive("the caller's own", own)
}

func TestSessions_tellWhyTheyEnded(t *testing.T) {
	h := onSQLite(t)
	h.newUser("ada@example.com")
	h.clock.advance(8 * 24 * time.Hour) // past the idle life
	out := h.login("ada@example.com")
	if err := h.Logout(t.Context(), h.with(out)); err != nil {
		t.Fatal(err)
	}
	here := h.login("ada@example.com")
	if got := h.causes(h.with(here)); !slices.Equal(got, []string{auth.CauseLogout, auth.CauseExpired}) {
		t.Errorf("ended for %q", got)
	}
}
