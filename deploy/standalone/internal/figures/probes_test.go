package figures

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// bounded is a route with a short bound, and that bound.
const (
	bounded = "/chaos/2s/x"
	bound   = 2 * time.Second
)

// acceptance is a call that was answered with 200.
type acceptance struct {
	node  string
	began time.Time
}

// prober calls every gateway with three tokens: one that was revoked long ago,
// one that is about to be, and one that stays good.
type prober struct {
	stop  chan struct{}
	group sync.WaitGroup

	mu       sync.Mutex
	seen     probes
	accepted []acceptance // of the token that is about to be revoked
}

// probes are counts of calls.
type probes struct {
	all       int
	forbidden int // accepted although revoked; must be 0
	refused   int // with the good token, answered with other than 200
}

func (p *probes) add(more probes) {
	p.all, p.forbidden, p.refused = p.all+more.all, p.forbidden+more.forbidden, p.refused+more.refused
}

// probe calls until judge is called.
func (w *clients) probe(tb testing.TB, revoked, dying, good string) *prober {
	tb.Helper()
	p := &prober{stop: make(chan struct{})}
	for i, at := range w.URLs {
		p.group.Go(func() {
			for {
				select {
				case <-p.stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				for which, token := range []string{revoked, dying, good} {
					began := time.Now()
					status, _ := w.call(tb.Context(), request{method: "GET", url: at + bounded, token: token}, nil)
					p.note(which, status == http.StatusOK, acceptance{cluster.Gateway(i), began})
				}
			}
		})
	}
	return p
}

func (p *prober) note(which int, ok bool, a acceptance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.all++
	switch {
	case which == 0 && ok:
		p.seen.forbidden++
	case which == 1 && ok:
		p.accepted = append(p.accepted, a)
	case which == 2 && !ok:
		p.seen.refused++
	}
}

// judge ends the calls. An acceptance of the token that r has revoked was
// forbidden if the call began after that gateway's report that it had applied
// it, or after the route's bound.
func (p *prober) judge(o *observer, r revoked) probes {
	close(p.stop)
	p.group.Wait()
	for _, a := range p.accepted {
		at, applied := o.first(a.node, r.epoch, r.number)
		if applied && a.began.After(at) || a.began.After(r.committed.Add(bound)) {
			p.seen.forbidden++
		}
	}
	return p.seen
}

func TestProber_counts_what_is_forbidden(t *testing.T) {
	now := time.Now()
	o := &observer{steps: map[string][]step{}}
	r := revoked{now, 1, 5}
	o.take([]byte(`{"node":"a","epoch":1,"applied":5}`), now.Add(100*time.Millisecond))
	p := &prober{stop: make(chan struct{})}
	for _, c := range []struct {
		which int
		ok    bool
		node  string
		after time.Duration
	}{
		{0, false, "a", 0}, {0, true, "a", 0}, // forbidden
		{1, true, "a", 50 * time.Millisecond}, {1, true, "a", 150 * time.Millisecond}, // forbidden
		{1, true, "b", time.Second}, {1, true, "b", bound + time.Millisecond}, // forbidden
		{2, true, "a", 0}, {2, false, "a", 0},
	} {
		p.note(c.which, c.ok, acceptance{c.node, now.Add(c.after)})
	}
	if got := p.judge(o, r); got != (probes{all: 8, forbidden: 3, refused: 1}) {
		t.Errorf("%+v", got)
	}
}
