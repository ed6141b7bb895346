package revocation

import (
	"context"
	"errors"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// opinion is a second opinion that a test sets.
type opinion struct {
	Opinion
	err   error
	asked int
}

func (o *opinion) Ask(context.Context, *contract.Claims, uint64) (Opinion, error) {
	o.asked++
	return o.Opinion, o.err
}

func TestChecker_Check(t *testing.T) {
	away := errors.New("away")
	for _, c := range []struct {
		name    string
		age     time.Duration // -1: never complete
		revoked int           // session that the view holds as revoked
		second  *opinion
		limit   time.Duration
		want    fault.Kind
		asked   int
	}{
		{"a fresh view decides alone", 900 * time.Millisecond, 0, &opinion{}, 30 * time.Second, "", 0},
		{"a fresh view refuses alone", 0, 2, &opinion{}, 30 * time.Second, fault.TokenRevoked, 0},
		{"an old view still refuses what it holds", time.Hour, 2, &opinion{err: away}, 30 * time.Second, fault.TokenRevoked, 0},
		{"a route may ask for more than the soft limit", 600 * time.Millisecond, 0, &opinion{err: away}, 500 * time.Millisecond, fault.RevocationStateUnknown, 1},
		{"an ageing view asks, and is good enough if nobody answers", 5 * time.Second, 0, &opinion{err: away}, 30 * time.Second, "", 1},
		{"I2 a view that is too old is not enough", 31 * time.Second, 0, &opinion{err: away}, 30 * time.Second, fault.RevocationStateUnknown, 1},
		{"I2 an admin route allows less", 3 * time.Second, 0, &opinion{err: away}, 2 * time.Second, fault.RevocationStateUnknown, 1},
		{"the second opinion may be fresh enough", time.Minute, 0, &opinion{Opinion: Opinion{Good, time.Second}}, 2 * time.Second, "", 1},
		{"the second opinion may be too old as well", time.Minute, 0, &opinion{Opinion: Opinion{Good, 3 * time.Second}}, 2 * time.Second, fault.RevocationStateUnknown, 1},
		{"F1 the second opinion knows what the view does not", 5 * time.Second, 0, &opinion{Opinion: Opinion{Revoked, time.Hour}}, 30 * time.Second, fault.TokenRevoked, 1},
		{"the second opinion knows of changed roles", 5 * time.Second, 0, &opinion{Opinion: Opinion{Stale, 0}}, 30 * time.Second, fault.TokenStale, 1},
		{"I7 a cold view knows nothing", -1, 0, &opinion{err: away}, time.Hour, fault.RevocationStateUnknown, 1},
		{"S-B7 without a second opinion a cold view is a 503", -1, 0, nil, time.Hour, fault.RevocationStateUnknown, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clock{start}
			v := NewView("n", newIssuer(t, "e1"), clock.now)
			if c.age >= 0 {
				v.Progress.Head(head(1, 0), v.Progress.Nonce())
				clock.advance(c.age)
			}
			if c.revoked > 0 {
				v.Set.Add(&contract.Entry{Kind: contract.RevokeSession, Subject: id(c.revoked), ExpiresAt: start})
			}
			checker := &Checker{View: v}
			if c.second != nil {
				checker.Second = c.second
			}
			err := checker.Check(t.Context(), claims(1, 2, 3, 1), c.limit)
			if got := fault.KindOf(err); got != c.want {
				t.Errorf("kind %q, want %q", got, c.want)
			}
			if c.second != nil && c.second.asked != c.asked {
				t.Errorf("asked %d times, want %d", c.second.asked, c.asked)
			}
		})
	}
}

func TestChecker_Check_I5_what_the_second_opinion_refused_stays_refused(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict Verdict
		want    fault.Kind // of the token
		next    fault.Kind // of the user's next token
	}{
		{"a revoked token", Revoked, fault.TokenRevoked, ""},
		{"a stale one, until it is refreshed", Stale, fault.TokenStale, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clock{start}
			v := NewView("n", newIssuer(t, "e1"), clock.now)
			v.Progress.Head(head(1, 0), v.Progress.Nonce())
			clock.advance(2 * SoftLimit)
			checker := &Checker{View: v, Second: &opinion{Opinion: Opinion{Verdict: c.verdict}}}
			token := claims(1, 2, 3, 1)
			if got := fault.KindOf(checker.Check(t.Context(), token, DefaultMaxStaleness)); got != c.want {
				t.Errorf("the second opinion: %q, want %q", got, c.want)
			}
			v.Progress.Head(head(1, 0), v.Progress.Nonce()) // fresh again, and complete as of before the revocation
			if got := fault.KindOf(checker.Check(t.Context(), token, DefaultMaxStaleness)); got != c.want {
				t.Errorf("the fresh view: %q, want %q", got, c.want)
			}
			if got := fault.KindOf(checker.Check(t.Context(), claims(4, 2, 3, 2), DefaultMaxStaleness)); got != c.next {
				t.Errorf("the next token: %q, want %q", got, c.next)
			}
		})
	}
}

func TestChecker_Check_of_a_fresh_view_allocates_nothing(t *testing.T) {
	v := NewView("n", newIssuer(t, "e1"), time.Now)
	v.Progress.Head(head(1, 0), v.Progress.Nonce())
	checker, c := &Checker{View: v}, claims(1, 2, 3, 1)
	allocations := testing.AllocsPerRun(100, func() {
		if err := checker.Check(t.Context(), c, time.Minute); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
}

func TestChecker_Ready(t *testing.T) {
	for _, c := range []struct {
		name   string
		age    time.Duration
		second *opinion
		ready  bool
	}{
		{"I7 cold", -1, &opinion{}, false},
		{"fresh", 0, &opinion{err: errors.New("away")}, true},
		{"too old, nobody to ask", time.Minute, &opinion{err: errors.New("away")}, false},
		{"too old, but the second opinion is fresh", time.Minute, &opinion{Opinion: Opinion{Good, time.Second}}, true},
		{"too old, the second opinion as well", time.Minute, &opinion{Opinion: Opinion{Good, time.Minute}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clock{start}
			v := NewView("n", newIssuer(t, "e1"), clock.now)
			if c.age >= 0 {
				v.Progress.Head(head(1, 0), v.Progress.Nonce())
				clock.advance(c.age)
			}
			err := (&Checker{View: v, Second: c.second}).Ready(t.Context())
			if (err == nil) != c.ready {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

// BenchmarkChecker_Check is the whole check of a request while the view is
// fresh.
func BenchmarkChecker_Check(b *testing.B) {
	v := NewView("n", newIssuer(b, "e1"), time.Now)
	for n := range 100_000 {
		v.Set.Add(&contract.Entry{Kind: contract.RevokeSession, Subject: id(n), ExpiresAt: start})
	}
	checker, c := &Checker{View: v}, claims(200_001, 200_002, 200_003, 1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1_000_000 == 0 { // now and then a head, as in operation
			v.Progress.Head(head(1, 0), v.Progress.Nonce())
		}
		if err := checker.Check(b.Context(), c, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}
