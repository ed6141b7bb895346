package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// answerBound is how long a caller waits at most: the time that the gateway
	// gives the services behind it, and a little for itself.
	answerBound = 40 * time.Second
	// healedWithin is how soon everything works once what was away is back. It is
	// seconds on an idle machine; tests run on busy ones.
	healedWithin = time.Minute
	// atOnce is how many people are made ready at the same time.
	atOnce = 8
	// everyNth flow belongs to an outage in the short run; which ones differs
	// from outage to outage.
	everyNth = 5
)

// allOutages says that every flow is to be tried in every outage, which takes
// minutes. Without it, "make test" has a few of each.
func allOutages() bool { return os.Getenv("GATEHOUSE_TEST_OUTAGES") == "all" }

// TestFault_every_flow_with_every_dependency_away makes each call of the
// contract through the gateway while something is slow, failing or gone.
//
// Each call is answered in bounded time, by what it is for or by 503, 504, 409
// or 429 with Retry-After and a problem document: an outage is never told as a
// refusal, nor as a fault of the service, and takes no cookie away. When all is
// well again the same call succeeds, and all is as if it had been made once,
// although nobody knows whether the first one had done its work already.
func TestFault_every_flow_with_every_dependency_away(t *testing.T) {
	if testing.Short() {
		t.Skip("starts systems of its own")
	}
	eachStore(t, func(t *testing.T, f *fragile) {
		for i, o := range f.outages() {
			if !allOutages() && !o.short(f.store) {
				continue
			}
			t.Run(o.String(), func(t *testing.T) {
				walks := f.prepare(t, o, chosen(i))
				f.suffer(t, o, walks)
				f.recover(t, walks)
				each(t, walks, len(walks), "in the end", (*walk).lettersArrivedOnce)
			})
		}
	})
}

// chosen are the flows of the i-th outage.
func chosen(i int) (out []flow) {
	for j, f := range flows() {
		if allOutages() || j%everyNth == i%everyNth || f.never {
			out = append(out, f)
		}
	}
	return out
}

// short tells which outages belong to the short run: each dependency, in the
// states that found the most, on one store or the other.
func (o outage) short(store string) bool {
	return slices.Contains(map[string][]outage{
		"sqlite": {
			{theDatabase, slow}, {theDatabase, silent}, {theRedis, refused}, {theBroker, silent}, {theMailServer, refused},
			{theAuthService, failing}, {theUserService, slow},
		},
		"postgres": {
			{theDatabase, slow}, {theDatabase, failing}, {theDatabase, refused}, {theDatabase, silent}, {theRedis, silent},
			{theBroker, failing}, {theMailServer, failing}, {theAuthService, refused}, {theUserService, failing},
		},
	}[store], o)
}

// walk is one flow in one outage.
type walk struct {
	*person
	flow   flow
	outage outage
	last   answer
	done   bool // the call was answered by what it is for
	before int  // letters that had arrived before the first call
	err    error
}

// each does something for every walk at the same time, some at once, and tells
// what has gone wrong. Who has failed already is left out.
func each(t *testing.T, walks []*walk, some int, what string, do func(w *walk) error) {
	t.Helper()
	var group sync.WaitGroup
	turns := make(chan struct{}, some)
	for _, w := range walks {
		if w.err != nil {
			continue
		}
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			w.err = do(w)
		})
	}
	group.Wait()
	for _, w := range walks {
		if w.err != nil && !errors.Is(w.err, errTold) {
			t.Errorf("%s, %s: %v", what, w.flow.name, w.err)
			w.err = errTold
		}
	}
}

var errTold = errors.New("told already")

// prepare makes ready what the flows need, while all is well.
func (f *fragile) prepare(t *testing.T, o outage, flows []flow) []*walk {
	t.Helper()
	root, err := f.administrator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	walks := make([]*walk, len(flows))
	for i, one := range flows {
		p := &person{fragile: f, ctx: t.Context(), root: root, user: user{
			fmt.Sprintf("user-%d-%d@example.com", time.Now().UnixNano(), userCount.Add(1)), goodPassword,
		}}
		walks[i] = &walk{person: p, flow: one, outage: o}
	}
	each(t, walks, atOnce, "before", func(w *walk) error {
		err := w.flow.prepare(w.person)
		w.before = w.count(w.user.email, w.flow.letter)
		return err
	})
	return walks
}

// suffer makes every call once during the outage.
func (f *fragile) suffer(t *testing.T, o outage, walks []*walk) {
	t.Helper()
	heal := f.begin(t, o)
	defer heal()
	began, done := time.Now(), 0
	each(t, walks, len(walks), "during", (*walk).attempt)
	for _, w := range walks {
		if w.done {
			done++
		}
	}
	t.Logf("%d of %d calls did their work, the last was answered after %v", done, len(walks), time.Since(began).Round(time.Millisecond))
}

// attempt makes the call and judges the answer.
func (w *walk) attempt() error {
	if err := w.ask(); err != nil || w.done {
		return err
	}
	if w.flow.never {
		return fmt.Errorf("this needs nothing that is away: %d %.300s", w.last.status, w.last.body)
	}
	return w.excuse()
}

// ask makes the call, which must be answered in time.
func (w *walk) ask() (err error) {
	w.tries++
	began := time.Now()
	ctx, cancel := context.WithTimeout(w.ctx, answerBound)
	defer cancel()
	w.last, err = w.try(ctx, w.flow.call(w.person))
	if err != nil {
		return fmt.Errorf("no answer after %v: %w", time.Since(began).Round(time.Millisecond), err)
	}
	w.done = slices.Contains(w.flow.done, w.last.status)
	return nil
}

// excuse checks that an answer says that something is away, and nothing else.
func (w *walk) excuse() error {
	a := w.last
	excuses := []int{
		http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway, http.StatusConflict, http.StatusTooManyRequests,
	}
	var problems []error
	if !slices.Contains(excuses, a.status) {
		problems = append(problems, fmt.Errorf("an outage is answered by %d %.300s", a.status, a.body))
	}
	if a.header.Get("Retry-After") == "" && a.status != http.StatusConflict {
		problems = append(problems, fmt.Errorf("%d %s: nothing says when to try again", a.status, a.code()))
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" || a.code() == "" || a.text("request_id") == "" {
		problems = append(problems, fmt.Errorf("not a problem document: %s %.300s", got, a.body))
	}
	if cookies := a.header.Values("Set-Cookie"); len(cookies) > 0 {
		problems = append(problems, errors.New("an outage changes cookies"))
	}
	return errors.Join(problems...)
}

// recover has everybody whose call did not succeed make it again, now that all
// is well, and looks at what has come of it.
func (f *fragile) recover(t *testing.T, walks []*walk) {
	t.Helper()
	began := time.Now()
	each(t, walks, atOnce, "after", func(w *walk) error {
		if err := w.again(); err != nil {
			return err
		}
		if err := w.tookEffectOnce(); err != nil {
			return err
		}
		if err := w.flow.after(w.person, w.last); err != nil {
			return fmt.Errorf("after %d calls: %w", w.tries, err)
		}
		return nil
	})
	t.Logf("all had what they wanted after %v", time.Since(began).Round(time.Millisecond))
}

// again repeats the call until it has done its work, as a client would.
func (w *walk) again() error {
	if w.done {
		return nil
	}
	return w.until(func() error {
		if err := w.ask(); err != nil {
			return err
		}
		if w.done || slices.Contains(w.flow.lost, w.last.status) {
			return nil
		}
		return errors.Join(fmt.Errorf("still %d %.300s", w.last.status, w.last.body), w.excuse())
	})
}

// tookEffectOnce looks into the audit trail for what must be there once, and
// for refusals that nobody has earned.
func (w *walk) tookEffectOnce() error {
	if w.in.userID == "" || w.flow.event == "" {
		return nil
	}
	n, err := w.events(w.in.userID, w.flow.event, "success")
	if err == nil && n != 1 {
		err = fmt.Errorf("the audit trail tells %d times of %s, after %d calls", n, w.flow.event, w.tries)
	}
	if err != nil || !w.done {
		return err
	}
	n, err = w.events(w.in.userID, w.flow.event, "failure")
	if err == nil && n != 0 {
		err = fmt.Errorf("the audit trail tells %d times that %s was refused", n, w.flow.event)
	}
	return err
}

// lettersArrivedOnce counts the letters. SMTP itself cannot tell whether a
// letter arrived whose acknowledgement was lost: that one is sent again.
func (w *walk) lettersArrivedOnce() error {
	if w.flow.letter == "" {
		return nil
	}
	most := w.before + 1
	if w.flow.event == "" {
		most = w.before + w.tries
	}
	if w.outage.of == theMailServer && w.outage.in != refused {
		most++
	}
	err := w.until(func() error {
		if w.count(w.user.email, w.flow.letter) <= w.before {
			return fmt.Errorf("the letter %q has not arrived", w.flow.letter)
		}
		return nil
	})
	if n := w.count(w.user.email, w.flow.letter); err == nil && n > most {
		subjects, _ := w.lettersTo(w.user.email)
		err = fmt.Errorf("%d letters %q after %d calls, want %d: %s", n, w.flow.letter, w.tries, most, strings.Join(subjects, "; "))
	}
	return err
}
