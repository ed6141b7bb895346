package auth_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// What honest clients do and suffer in the simulated hour, in seconds.
const (
	hourLength  = 3600
	hourLost    = 0.05 // part of the answers that never arrive
	hourTimeout = 10   // how long a tab waits for an answer before it asks again
	hourEarly   = 30   // how long before its end an access token is replaced
	hourTravel  = 3    // a request is on its way for less than that, an answer for at most that
)

// A tab waits until its access token is old; its request is on the way; the
// answer is on the way, or never comes.
const (
	tabWaits = iota
	tabAsks
	tabIsAnswered
	tabIsForgotten
)

// tab is one of the two tabs of a browser.
type tab struct {
	state int
	due   int    // second at which the state ends
	sent  int    // second at which it asked
	asked string // token it asked with
	got   auth.Tokens
	err   error
}

// browser is a session: two tabs that share the cookies. Both find at the same
// time that the access token gets old, and neither asks the other.
type browser struct {
	jar      string // newest refresh token that arrived
	stubborn bool   // asks again with the token of before, whatever the jar holds by then
	tabs     [2]tab
}

// hour is a simulation of many browsers. It draws everything from one seed;
// only the order of calls within a second is left to chance.
type hour struct {
	*harness
	random   *rand.Rand
	now      int
	browsers []browser
	answered int
	lost     int
	busy     int // answers that asked to try again
	out      int // honest tabs that were told to sign in again
}

// newHour opens the sessions, four of a user.
func newHour(h *harness, sessions int) *hour {
	h.t.Helper()
	s := &hour{harness: h, random: rand.New(rand.NewPCG(1, uint64(sessions))), browsers: make([]browser, sessions)}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for w := range errs {
		all.Go(func() {
			for i := w * 4; i < sessions && errs[w] == nil; i += len(errs) * 4 {
				errs[w] = s.open(fmt.Sprintf("user%d@example.com", i), s.browsers[i:min(i+4, sessions)])
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
	for i := range s.browsers {
		s.browsers[i].stubborn = s.random.IntN(2) == 0
		s.plan(&s.browsers[i], s.random.IntN(15*60))
	}
	return s
}

// open registers a user and signs in with each of the browsers.
func (s *hour) open(email string, browsers []browser) error {
	if err := s.Register(s.t.Context(), stranger(), auth.Registration{Email: email, Password: goodPassword}); err != nil {
		return err
	}
	for i := range browsers {
		got, err := s.Login(s.t.Context(), stranger(), email, goodPassword)
		if err != nil {
			return err
		}
		browsers[i].jar = got.RefreshToken
	}
	return nil
}

// plan has all tabs that wait ask at about the given second.
func (s *hour) plan(b *browser, at int) {
	for i := range b.tabs {
		if b.tabs[i].state == tabWaits {
			b.tabs[i].due = at + s.random.IntN(hourTravel)
		}
	}
}

// run plays the hour.
func (s *hour) run() {
	for ; s.now < hourLength; s.now++ {
		var calls []*tab
		for i := range s.browsers {
			b := &s.browsers[i]
			for k := range b.tabs {
				if t := &b.tabs[k]; t.due == s.now {
					s.move(b, t)
				}
				if t := &b.tabs[k]; t.state == tabAsks && t.due == s.now {
					calls = append(calls, t)
				}
			}
		}
		var all sync.WaitGroup
		for _, t := range calls {
			all.Go(func() { t.got, t.err = s.refresh(t.asked) })
		}
		all.Wait()
		for _, t := range calls {
			s.judge(t)
		}
		s.clock.advance(time.Second)
	}
}

// move is what a tab does when it has waited long enough.
func (s *hour) move(b *browser, t *tab) {
	switch t.state {
	case tabIsAnswered:
		t.state, b.jar = tabWaits, t.got.RefreshToken
		s.plan(b, s.now+int(t.got.ExpiresIn/time.Second)-hourEarly)
		return
	case tabWaits:
		t.asked = b.jar
	case tabIsForgotten:
		if !b.stubborn {
			t.asked = b.jar
		}
	default:
		return
	}
	t.state, t.sent, t.due = tabAsks, s.now, s.now+s.random.IntN(hourTravel)
}

// judge sends a tab its answer, or loses it.
func (s *hour) judge(t *tab) {
	gone := s.random.Float64() < hourLost
	t.state, t.due = tabIsForgotten, t.sent+hourTimeout
	switch {
	case fault.Is(t.err, fault.InvalidRefreshToken):
		s.out++
		t.due = -1 // it goes on no more
	case t.err != nil:
		s.t.Logf("at second %d: %v", s.now, t.err)
		s.busy++
	case gone:
		s.lost++
	default:
		s.answered++
		t.state, t.due = tabIsAnswered, s.now+1+s.random.IntN(hourTravel)
	}
}

// check fails unless everybody is still signed in, and something happened.
func (s *hour) check() {
	s.t.Helper()
	var ended, refused int
	if err := s.db.GetContext(s.t.Context(), &ended, `SELECT COUNT(*) FROM sessions WHERE ended_at <> 0`); err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.GetContext(s.t.Context(), &refused, `SELECT COUNT(*) FROM audit WHERE event = 'refresh' AND outcome = 'failure'`); err != nil {
		s.t.Fatal(err)
	}
	if s.out != 0 || ended != 0 || refused != 0 {
		s.t.Errorf("%d tabs were signed out, %d sessions ended, %d refusals are audited; want none", s.out, ended, refused)
	}
	calls := s.answered + s.lost
	if least := 6 * len(s.browsers); calls < least || s.lost*30 < calls || s.lost*12 > calls {
		s.t.Errorf("%d refreshes by %d sessions, of which %d answers were lost: that is not the hour that was meant", calls, len(s.browsers), s.lost)
	}
}

func TestRefresh_SR2_anHourOfLostAnswersAndTwoTabsSignsNobodyOut(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s := newHour(newHarness(t, url, func(c *auth.Config) { c.Limits.Refresh = auth.DefaultLimits().Refresh }), crowd/5)
		s.run()
		s.check()
		if s.busy != 0 {
			t.Errorf("%d refreshes were told to try again on a database that is well", s.busy)
		}
	})
}

// BenchmarkRefresh_hour plays the hour with 10,000 sessions; once is enough.
func BenchmarkRefresh_hour(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := newHour(newHarness(b, url(b)), 10_000)
				b.StartTimer()
				s.run()
				b.StopTimer()
				s.check()
				b.ReportMetric(float64(s.answered+s.lost), "refreshes")
				b.ReportMetric(float64(s.lost), "lost")
				b.ReportMetric(float64(s.busy), "try-again")
				b.ReportMetric(float64(s.out), "signed-out")
				b.StartTimer()
			}
		})
	}
}
