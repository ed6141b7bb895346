package sequencer

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/revocation"
)

// promise is a revoking call that waits for the numbers of its rows.
type promise struct {
	w     *waiter
	facts []*fact
}

// promise has a replica wait for numbers as Committed does.
func (w *world) promise(r *replica, ids []string) {
	p := promise{w: &waiter{open: map[string]bool{}, done: make(chan struct{})}, facts: w.facts[len(w.facts)-len(ids):]}
	for _, id := range ids {
		p.w.open[id] = true
	}
	r.s.waiting = append(r.s.waiting, p.w)
	w.promises = append(w.promises, p)
}

// kept is true if the call was answered with numbers.
func (p promise) kept() bool {
	select {
	case <-p.w.done:
		return len(p.w.open) == 0
	default:
		return false
	}
}

// matters is true while the database holds the fact, and the node would accept
// the token that it kills.
func (n *node) matters(f *fact) bool {
	return !f.lost && n.clock.since() <= f.expires+leeway
}

// check is the property, in all its parts.
func (w *world) check(o op) error {
	for _, n := range w.nodes {
		if err := n.checkView(); err != nil {
			return err
		}
		if err := n.checkPromises(); err != nil {
			return err
		}
		if err := n.checkVersions(); err != nil {
			return err
		}
	}
	if len(w.facts) == 0 {
		return nil
	}
	n, f := w.nodes[o.A%len(w.nodes)], w.facts[(o.A+o.B*7+o.C*31)%len(w.facts)]
	if !n.matters(f) {
		return nil
	}
	if o.B%2 == 0 {
		return n.checkOpinion(f)
	}
	return n.checkVerdict(f, []time.Duration{2 * time.Second, revocation.DefaultMaxStaleness}[o.C%2])
}

// checkView: a node that claims age A knows every revocation that was committed
// more than A ago, and forgets none that it has known.
func (n *node) checkView() error {
	age, claims := n.view.Progress.Age()
	for _, f := range n.w.facts {
		knows := n.view.Set.Check(&f.claims) != revocation.Good
		switch {
		case knows:
			n.known[f.id] = true
		case n.known[f.id] && n.clock.since() <= f.expires+leeway:
			return fmt.Errorf("%s has forgotten %s", n.name, f.id)
		case claims && n.matters(f) && f.committed < n.w.now-age:
			return fmt.Errorf("%s claims to be complete as of %v ago (position %+v), and lacks %s, committed %v ago",
				n.name, age, n.view.Progress.Position(), f.id, n.w.now-f.committed)
		}
	}
	return nil
}

// checkPromises: a node that counts as having applied the numbers of a
// revoking call knows its revocations.
func (n *node) checkPromises() error {
	at := n.view.Progress.Position()
	for _, p := range n.w.promises {
		report := seenNode{}
		report.report.Epoch, report.report.Applied = at.Epoch, at.Applied
		if !p.kept() || !report.has(p.w.answer.Epoch, p.w.answer.Number) {
			continue
		}
		for _, f := range p.facts {
			if n.matters(f) && n.view.Set.Check(&f.claims) == revocation.Good {
				return fmt.Errorf("%s at %+v counts as having applied %+v, and lacks %s", n.name, at, p.w.answer, f.id)
			}
		}
	}
	return nil
}

// checkOpinion: Redis does not seem fresher than it is, but for what its clock
// was set back.
func (n *node) checkOpinion(f *fact) error {
	opinion, err := n.checker.Second.Ask(context.Background(), &f.asked, n.view.Progress.Position().Epoch)
	if err == nil && opinion.Verdict == revocation.Good && f.committed < n.w.now-opinion.Age-n.w.redis.back {
		return fmt.Errorf("redis claims to %s to be complete as of %v ago, and lacks %s, committed %v ago", n.name, opinion.Age, f.id, n.w.now-f.committed)
	}
	return nil
}

// checkVerdict: no token is accepted later than the route's bound after its
// revocation was committed.
func (n *node) checkVerdict(f *fact, limit time.Duration) error {
	err := n.checker.Check(context.Background(), &f.asked, limit)
	if err == nil && n.w.now-f.committed > limit+n.w.redis.back {
		return fmt.Errorf("%s accepts a token %v after %s, where %v is the bound", n.name, n.w.now-f.committed, f.id, limit)
	}
	return nil
}
