package auth_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func TestRefresh_S_A1_aLoopDoesNotFillTheTrail(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.Limits.Refresh = auth.Limit{Tries: 20, Per: time.Hour} })
	looping := h.newUser("ada@example.com")
	other := h.login("ada@example.com")
	for range 20 {
		looping = h.mustRefresh(looping.RefreshToken)
	}
	for range 30 {
		_, err := h.refresh(looping.RefreshToken)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.RateLimited || f.RetryAfter != 90*time.Second {
			t.Fatalf("a refresh beyond the bound: %v, want rate_limited with 90 s to wait", err)
		}
	}
	if n, m := h.written("refresh success"), h.written("refresh failure throttled_refresh"); n != 20 || m != 1 {
		t.Errorf("%d events tell of refreshes and %d of those beyond, want 20 and 1", n, m)
	}
	h.alive("the session beyond the bound", looping)
	other = h.mustRefresh(other.RefreshToken)

	clear(h.tries.taken) // time goes by
	h.clock.advance(2 * grace)
	again := h.mustRefresh(looping.RefreshToken)
	h.alive("the session with the token that was refused before", again)

	for range 20 {
		_, _ = h.refresh(other.RefreshToken)
	}
	if err := h.Logout(t.Context(), h.with(other)); err != nil {
		t.Fatal(err)
	}
	_, err := h.refresh(other.RefreshToken)
	wantKind(t, "a session that is over, beyond the bound", err, fault.InvalidRefreshToken)
}

func TestRefresh_theBoundLeavesRoomForShortTokens(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{15 * time.Minute: time.Hour, 10 * time.Second: 25 * time.Minute} {
		h := onSQLite(t, limited, func(c *auth.Config) { c.AccessTTL = ttl })
		h.mustRefresh(h.newUser("ada@example.com").RefreshToken)
		if got := h.tries.limit[auth.BoundRefresh]; got != (auth.Limit{Tries: 600, Per: want}) {
			t.Errorf("with tokens of %v refreshes are bounded to %v, want 600 in %v", ttl, got, want)
		}
	}
}
