package proxy

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// memory is for how many look-ups an address is remembered that is in no
// answer any more.
const memory = 12

// named is one name. Its answers are taken to be complete: an address that is
// not among them is gone, and one that is new shall get its share. But where
// there are more addresses than a name server tells at once, each answer has
// others, and renewing all connections each time would be for nothing. Such a
// name gives itself away by answers that bring back an address and lack one of
// the answer before: one may be somebody who takes back a move, a second one
// within memory look-ups is not. From then on an address is gone only if no
// answer has had it for memory look-ups at least, twice that at most, until for
// as long nothing has come back. New connections go to those of the last answer
// alone.
type named struct {
	addresses []netip.Addr             // as found last; nil if never
	turn      int                      // of the next connection
	refused   map[netip.Addr]time.Time // where no connection came about, until when they come last
	failing   bool                     // the last look-up failed

	lookups int                // that found something
	seen    map[netip.Addr]int // the last of them that found an address; of 2*memory look-ups at most
	swept   int                // when seen was last rid of what is old
	back    int                // the last of them that brought back an address instead of another one
	partial int                // the look-up until which answers are taken for parts; 0 if they are complete
}

func newNamed() *named {
	return &named{refused: map[netip.Addr]time.Time{}, seen: map[netip.Addr]int{}}
}

// take takes in an answer. began says that the name has just been found to be
// answered in parts, changed that connections that were made before should end.
func (n *named) take(all []netip.Addr) (began, changed bool) {
	old, whole := n.addresses, n.partial == 0
	n.addresses = all
	n.lookups++
	less := slices.ContainsFunc(old, func(a netip.Addr) bool { return !slices.Contains(all, a) })
	if less && slices.ContainsFunc(all, func(a netip.Addr) bool { return n.seen[a] != 0 && !slices.Contains(old, a) }) {
		if !whole || n.back != 0 && n.lookups-n.back <= memory {
			n.partial = n.lookups + memory
		}
		n.back = n.lookups
	}
	for _, a := range all {
		n.seen[a] = n.lookups
	}
	gone := n.sweep()
	maps.DeleteFunc(n.refused, func(a netip.Addr, _ time.Time) bool { return n.seen[a] == 0 })
	switch {
	case n.partial == 0:
		return false, old != nil && (less || len(old) != len(all))
	case n.lookups > n.partial: // nothing has come back for long: there are no others
		n.partial, n.back = 0, 0
		return false, gone || len(n.seen) > len(all)
	}
	return whole, gone
}

// sweep forgets, every memory look-ups, what has not been found for that long,
// and reports whether there was something.
func (n *named) sweep() (gone bool) {
	if n.lookups-n.swept < memory {
		return false
	}
	n.swept = n.lookups
	maps.DeleteFunc(n.seen, func(_ netip.Addr, at int) bool {
		old := at <= n.lookups-memory
		gone = gone || old
		return old
	})
	return gone
}

// order gives the addresses in the order in which a new connection tries them,
// or nothing if they are not known yet. Each one begins in its turn, among
// those of the family that the system prefers.
func (n *named) order(now time.Time) []netip.Addr {
	if len(n.addresses) == 0 {
		return nil
	}
	var first, other, last []netip.Addr
	for _, a := range n.addresses {
		switch until, refused := n.refused[a]; {
		case refused && now.Before(until):
			last = append(last, a)
		case a.Is4() == n.addresses[0].Is4():
			first = append(first, a)
		default:
			other = append(other, a)
		}
	}
	n.turn++
	if len(first) > 0 {
		at := n.turn % len(first)
		first = append(first[at:len(first):len(first)], first[:at]...)
	}
	return slices.Concat(first, other, last)
}
