package revocation

import (
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// A Redis that failed over without its last second, and a replica that lags,
// both answer from an earlier moment: they hold the proof of that moment and
// lack what came later. What they say counts as of then, and not a moment later.
func TestRedis_F20_F21_I5_an_earlier_state_is_as_old_as_it_is(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		s := newStore(t, url, prefix)
		clock := &clock{start}
		second := s.opinion(clock.now)
		second.patience = time.Minute
		view := NewView("n", s.issuer, clock.now)
		view.Progress.Head(head(1, 0), view.Progress.Nonce())
		clock.advance(time.Hour) // the view is of no use
		checker := &Checker{View: view, Second: second}
		kind := func(c *contract.Claims, limit time.Duration) fault.Kind {
			return fault.KindOf(checker.Check(t.Context(), c, limit))
		}
		early, late, other := aboutUser(1), aboutUser(2), aboutUser(3)
		revoke := func(c *contract.Claims) {
			s.must(s.client.Set(t.Context(), s.keys.ID(c.Refs.Session), "1", time.Minute).Err())
		}

		revoke(early)
		revoke(late)
		s.prove(4, s.time())
		s.must(s.client.HSet(t.Context(), s.keys.Head(), "last", "4").Err())
		for _, c := range []*contract.Claims{early, late} {
			if got := kind(c, time.Minute); got != fault.TokenRevoked {
				t.Fatalf("a revoked token: %q", got)
			}
		}
		if got := kind(other, 2*time.Second); got != "" {
			t.Fatalf("a good token: %q", got)
		}

		// Now the state of 20 s ago answers: number 4 is not there.
		s.must(s.client.Del(t.Context(), s.keys.ID(late.Refs.Session)).Err())
		s.prove(3, s.time().Add(-20*time.Second))
		s.must(s.client.HSet(t.Context(), s.keys.Head(), "last", "3").Err())
		if got := kind(late, 30*time.Second); got != fault.TokenRevoked {
			t.Errorf("a token that this node has refused is good again: %q", got)
		}
		if got := kind(early, 2*time.Second); got != fault.TokenRevoked {
			t.Errorf("what the earlier state holds against a token: %q", got)
		}
		for limit, want := range map[time.Duration]fault.Kind{30 * time.Second: "", 19 * time.Second: fault.RevocationStateUnknown, 2 * time.Second: fault.RevocationStateUnknown} {
			if got := kind(other, limit); got != want {
				t.Errorf("a token that nobody revoked, where %v are allowed: %q, want %q", limit, got, want)
			}
		}
		// A node that knows of a newer epoch takes nothing from an older one.
		if opinion, err := second.Ask(t.Context(), other, 2); err == nil {
			t.Errorf("the opinion of an older epoch: %+v", opinion)
		}
		// A state whose proof is newer than its content is of no moment at all.
		s.prove(4, s.time())
		if got := kind(other, time.Minute); got != fault.RevocationStateUnknown {
			t.Errorf("by a proof that covers more than there is: %q", got)
		}
	})
}
