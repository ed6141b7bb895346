package checker

import (
	"slices"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

const (
	// liveSlack is how much longer than a request a live connection may go on:
	// a gateway looks every 100 ms whether it still knows enough.
	liveSlack = 500 * time.Millisecond
	// revoked is the status with which a WebSocket of a revoked token is closed.
	revoked = 4401
)

// live is I13: what holds for calls holds for what goes on for long, and what
// is good goes on.
func (c *check) live(o *history.Op) {
	l := o.Life
	if l == nil {
		return
	}
	dead := c.deadAt(o.Token)
	late := func(bound time.Duration) bool { return dead != never && l.Heard > max(dead+bound, l.Stalled)+liveSlack }
	switch {
	case late(o.Bound):
		c.violation("I13", o, "goes on %v after its revocation was acknowledged, the route allows %v", l.Heard-dead, o.Bound)
	case late(Calm) && c.calm(dead, l.Heard):
		c.violation("I13", o, "goes on %v after its revocation was acknowledged although no fault was active", l.Heard-dead)
	case l.Ours && dead != never && c.Settled > 0 && o.End > max(c.Settled, dead+o.Bound, l.Stalled)+liveSlack:
		c.violation("I13", o, "still open %v after its revocation was acknowledged although all has settled", o.End-dead)
	case o.Kind == history.Socket && !l.Ours && l.Closed != revoked && dead != never && o.End >= c.doubtFrom(o.Token) && c.calm(o.Start, o.End):
		c.violation("I13", o, "closed with %d after its revocation although no fault was active", l.Closed)
	}
	c.liveBlind(o)
	c.liveAndGood(o)
}

// liveBlind is I13 on a gateway that can hear nobody.
func (c *check) liveBlind(o *history.Op) {
	for _, w := range c.Windows {
		if slices.Contains(w.Blind, o.Node) && o.Life.Heard > max(w.Start+o.Bound, o.Life.Stalled)+liveSlack && o.Life.Heard < w.End {
			c.violation("I13", o, "goes on %v after %s had begun, the route allows %v", o.Life.Heard-w.Start, w.Fault, o.Bound)
		}
	}
}

// liveAndGood is the other half of I13: nothing but a revocation closes a
// connection as revoked, not even a refresh of its session, and while all is
// well nothing else ends it either.
func (c *check) liveAndGood(o *history.Op) {
	t, known := c.facts.tokens[o.Token]
	if !known || o.Life.Ours || o.End >= c.doubtFrom(o.Token) || o.End > t.issued.Start+tokenLife || c.skewed(o) {
		return
	}
	switch {
	case o.Life.Closed == revoked:
		c.violation("I13", o, "closed as revoked although nobody revoked it")
	case c.calm(o.Start, o.End):
		c.violation("I13", o, "ended with %d although nobody revoked it and no fault was active", o.Life.Closed)
	}
}

// skewed tells whether a clock was wrong in such a way that the operation's
// token may look as if it were of the future, or expired: when it was given or
// while it was used.
func (c *check) skewed(o *history.Op) bool {
	t, known := c.facts.tokens[o.Token]
	for _, w := range c.Windows {
		if w.Skewed && (w.Start <= o.End && o.Start <= w.End || known && w.Start <= t.issued.End && t.issued.Start <= w.End) {
			return true
		}
	}
	return false
}

// keySettles is how long after a key was revoked an auth-service that was not
// told signs with it at the latest: it looks by itself every 12 s.
const keySettles = 20 * time.Second

// bornDead is I6 for what is given after a key was revoked: tokens of another
// key.
func (c *check) bornDead() {
	for id, t := range c.facts.tokens {
		for _, kill := range c.facts.keyKills[t.issued.Key] {
			late := t.issued.Start - kill.End
			if kill.Acknowledged() && (late > keySettles || late > Calm && c.calm(kill.Start, t.issued.End)) {
				c.violation("I6", t.issued, "the token %s is of a key that was revoked %v before", id, late)
			}
		}
	}
}
