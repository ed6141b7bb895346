package checker

import (
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// The bounds that do not stand in the history.
const (
	// Calm is how long after an acknowledgement a token may be accepted when no
	// fault was active: the view age up to which memory alone decides.
	Calm = time.Second
	// settling is how long after a fault has been healed it is calm again.
	settling = 10 * time.Second
	// tokenLife is how long a token surely lives.
	tokenLife = 14 * time.Minute
)

// Violation is a promise that was broken.
type Violation struct {
	Rule string // I1 ...
	Text string
	Op   history.Op
}

// String is one line for people.
func (v Violation) String() string { return v.Rule + ": " + v.Text + ": " + v.Op.String() }

// Check judges a history. It leaves out the rules that are named.
func Check(h *history.History, without ...string) Report {
	c := &check{History: h, facts: gather(h), report: newReport(), dead: map[string]time.Duration{}, doubt: map[string]time.Duration{}}
	for id := range c.facts.tokens {
		c.dead[id], c.doubt[id] = c.facts.dead(id), c.facts.doubtful(id)
	}
	c.count()
	for i := range h.Ops {
		o := &h.Ops[i]
		switch o.Kind {
		case history.Call:
			c.bounded(o)
			c.blind(o)
			c.falselyRefused(o)
			c.settled(o)
		case history.Refresh:
			c.refreshed(o)
		case history.Socket, history.Stream:
			c.bounded(o)
			c.falselyRefused(o)
			c.live(o)
		}
	}
	c.bornDead()
	c.resurrected()
	c.successors()
	c.swept()
	c.report.Violations = slices.DeleteFunc(c.report.Violations, func(v Violation) bool { return slices.Contains(without, v.Rule) })
	slices.Sort(c.report.Exposure)
	return c.report
}

type check struct {
	*history.History
	facts  *facts
	dead   map[string]time.Duration // by token: when it was dead for certain
	doubt  map[string]time.Duration // by token: from when on it may be dead
	report Report
}

func (c *check) violation(rule string, o *history.Op, format string, args ...any) {
	c.report.Violations = append(c.report.Violations, Violation{rule, fmt.Sprintf(format, args...), *o})
}

// deadAt gives when the token was dead for certain.
func (c *check) deadAt(token string) time.Duration {
	if at, known := c.dead[token]; known {
		return at
	}
	return never
}

// doubtFrom gives from when on the token may be dead: one that was never seen
// to be issued is always in doubt.
func (c *check) doubtFrom(token string) time.Duration { return c.doubt[token] }

// calm tells whether no fault was active between two moments, nor shortly
// before.
func (c *check) calm(from, to time.Duration) bool {
	for _, w := range c.Windows {
		if w.Start <= to && w.End+settling >= from {
			return false
		}
	}
	return true
}

// bounded is I1.
func (c *check) bounded(o *history.Op) {
	dead := c.deadAt(o.Token)
	if !o.Acknowledged() || o.Start <= dead {
		return
	}
	late := o.Start - dead
	c.report.Exposure = append(c.report.Exposure, late)
	switch {
	case late > o.Bound:
		c.violation("I1", o, "accepted %v after its revocation was acknowledged, the route allows %v", late, o.Bound)
	case late > Calm && c.calm(dead, o.Start):
		c.violation("I1", o, "accepted %v after its revocation was acknowledged although no fault was active", late)
	}
}

// blind is I2.
func (c *check) blind(o *history.Op) {
	if !o.Acknowledged() {
		return
	}
	for _, w := range c.Windows {
		if slices.Contains(w.Blind, o.Node) && o.Start > w.Start+o.Bound && o.End < w.End {
			c.violation("I2", o, "accepted %v after %s had begun, the route allows %v", o.Start-w.Start, w.Fault, o.Bound)
		}
	}
}

// falselyRefused is I6 for calls.
func (c *check) falselyRefused(o *history.Op) {
	t, known := c.facts.tokens[o.Token]
	if !o.Refused() || !known {
		return
	}
	odd := o.Code == "token_invalid" || o.Code == "token_expired" // as a wrong clock has it
	if o.End < c.doubtFrom(o.Token) && o.End < t.issued.Start+tokenLife && (!odd || !c.skewed(o)) {
		c.violation("I6", o, "refused although nobody revoked it")
	}
}

// refreshed is I10.
func (c *check) refreshed(o *history.Op) {
	if dead := c.facts.sessionDead(o.Session); o.Acknowledged() && o.Start > dead {
		c.violation("I10", o, "refreshed %v after the end of the session was acknowledged", o.Start-dead)
	}
	if o.Refused() && o.End < c.facts.sessionDoubtful(o.Session) {
		c.violation("I10", o, "not refreshed although nobody ended the session")
	}
}

// resurrected is I5.
func (c *check) resurrected() {
	type key struct {
		token string
		node  int
	}
	first := map[key]time.Duration{} // when the node had refused the token as revoked
	anywhere := map[string]time.Duration{}
	for i := range c.Ops {
		o := &c.Ops[i]
		if o.Kind != history.Call && !o.Kind.Live() || !o.Refused() || o.Code != "token_revoked" && o.Code != "token_stale" {
			continue
		}
		k := key{o.Token, o.Node}
		if at, seen := first[k]; !seen || o.End < at {
			first[k] = o.End
		}
		if at, seen := anywhere[o.Token]; !seen || o.End < at {
			anywhere[o.Token] = o.End
		}
	}
	for i := range c.Ops {
		o := &c.Ops[i]
		if o.Kind != history.Call && !o.Kind.Live() || !o.Acknowledged() {
			continue
		}
		if at, seen := first[key{o.Token, o.Node}]; seen && o.Start > at {
			c.violation("I5", o, "accepted %v after this node had refused it as revoked", o.Start-at)
		} else if at, seen := anywhere[o.Token]; seen && o.Start > at+o.Bound {
			c.violation("I5", o, "accepted %v after another node had refused it as revoked", o.Start-at)
		}
	}
}

// successors is the other half of I10.
func (c *check) successors() {
	given := map[string]*history.Op{}
	for i := range c.Ops {
		o := &c.Ops[i]
		if o.Kind != history.Refresh || !o.Acknowledged() {
			continue
		}
		if before := given[o.Presented]; before == nil {
			given[o.Presented] = o
		} else if before.Successor != o.Successor {
			c.violation("I10", o, "a refresh token has two successors, the other by #%d", before.ID)
		}
	}
}

// settled is I12 for single calls.
func (c *check) settled(o *history.Op) {
	if c.Settled == 0 || o.Start < c.Settled {
		return
	}
	switch {
	case o.Start > c.deadAt(o.Token) && !o.Refused():
		c.violation("I12", o, "not refused as revoked although all views equal the database")
	case o.End < c.doubtFrom(o.Token) && !o.Acknowledged() && !o.Refused(): // refused is I6
		c.violation("I12", o, "not accepted although all views equal the database")
	}
}

// swept makes sure that after all has settled every token that is dead was
// tried on every gateway, and refused by all in the same way: no acknowledged
// revocation is lost.
func (c *check) swept() {
	if c.Settled == 0 {
		return
	}
	tried := map[string]map[int]bool{}
	first := map[string]*history.Op{}
	for i := range c.Ops {
		o := &c.Ops[i]
		if o.Kind != history.Call || o.Start < c.Settled {
			continue
		}
		if tried[o.Token] == nil {
			tried[o.Token], first[o.Token] = map[int]bool{}, o
		}
		tried[o.Token][o.Node] = true
		t, known := c.facts.tokens[o.Token]
		if other := first[o.Token]; known && o.Refused() && other.Refused() && o.Code != other.Code && o.End < t.issued.Start+tokenLife && !c.skewed(o) {
			c.violation("I12", o, "refused in another way than by #%d: %s", other.ID, other.Code)
		}
	}
	for id, t := range c.facts.tokens {
		if t.issued.Start+tokenLife < c.Settled {
			continue // it has expired, or soon will
		}
		if c.deadAt(id) < c.Settled && len(tried[id]) < c.Nodes {
			c.violation("I12", t.issued, "the revoked token %s was tried on %d of %d gateways only", id, len(tried[id]), c.Nodes)
		}
	}
}
