package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// answered has a name looked up at a real name server, and counts how often
// connections had to be made anew.
type answered struct {
	t     *testing.T
	dns   *nameServer
	names *Names
	told  int
}

func newAnswered(t *testing.T) *answered {
	a := &answered{t: t, dns: newNameServer(t)}
	a.names = NewNames(NamesOptions{Hosts: []string{"orders.test"}, Resolver: a.dns.resolver()})
	a.names.onChange(func() { a.told++ })
	return a
}

// with has the next look-up find these addresses, by their last numbers.
func (a *answered) with(last ...int) {
	a.t.Helper()
	var all []string
	for _, n := range last {
		all = append(all, fmt.Sprintf("127.0.0.%d", n))
	}
	a.dns.set(false, "orders.test", all...)
	a.names.refresh(a.t.Context())
	if found := len(a.names.host["orders.test"].addresses); found != len(all) {
		a.t.Fatalf("%d addresses were found, want %d", found, len(all))
	}
}

func (a *answered) wantTold(n int, why string) {
	a.t.Helper()
	if a.told != n {
		a.t.Fatalf("%s: connections were renewed %d times, want %d", why, a.told, n)
	}
}

// TestNames_parts has a name server tell two of five addresses at a time: the
// first changes cannot be told from a move and its end, the others are none.
// New connections follow the answers all the same.
func TestNames_parts(t *testing.T) {
	a := newAnswered(t)
	parts := [][]int{{1, 2}, {3, 4}, {5, 1}, {2, 3}, {4, 5}}
	for i := range 3 {
		a.with(parts[i]...)
	}
	a.wantTold(2, "the first changes")
	for i := 3; i < 10*memory; i++ {
		now := parts[i%len(parts)]
		a.with(now...)
		first := a.names.order("orders.test", time.Now())[0]
		if last := int(first.As4()[3]); last != now[0] && last != now[1] {
			t.Fatalf("a new connection goes to %s, and the answer is %v", first, now)
		}
	}
	a.wantTold(2, "answers in turn")

	// The fifth address goes for good.
	four := [][]int{{1, 2}, {3, 4}}
	for i := range 2*memory + 1 {
		a.with(four[i%2]...)
	}
	a.wantTold(3, "an address that has not come for long")
	for i := range 5 * memory {
		a.with(four[i%2]...)
	}
	a.wantTold(3, "the rest, in turn")
	if seen := len(a.names.host["orders.test"].seen); seen != 4 {
		t.Errorf("%d addresses are remembered, want 4", seen)
	}
}

// A name whose answers have become complete again loses what it has no more,
// once, and then a change is a change at once.
func TestNames_partsEnd(t *testing.T) {
	a := newAnswered(t)
	for _, last := range []int{1, 2, 1, 2} {
		a.with(last)
	}
	a.wantTold(2, "a move, and its end")
	for range 3 * memory {
		a.with(2)
	}
	a.wantTold(3, "the address that did not come again")
	a.with(3)
	a.wantTold(4, "a move")
	a.with(3, 4)
	a.wantTold(5, "one more")
}

// TestNames_wholeAnswers are changes that are none of parts: a replica that
// goes and comes, one that takes the place of another, and a move that is taken
// back.
func TestNames_wholeAnswers(t *testing.T) {
	a := newAnswered(t)
	changes := [][]int{{1, 2, 3}, {1, 2}, {1, 2, 3}, {1, 3}, {1, 3, 4}, {3, 4, 5}, {6}, {3, 4, 5}}
	for i, now := range changes {
		a.with(now...)
		a.wantTold(i, fmt.Sprintf("%v", now))
	}
}

// What is remembered is bounded, whatever a name server answers.
func TestNames_memoryIsBounded(t *testing.T) {
	n := newNamed()
	address := netip.MustParseAddr("10.0.0.0")
	for range 20 * memory {
		var all []netip.Addr
		for range maxAddresses {
			address = address.Next()
			all = append(all, address)
		}
		n.take(all)
		n.refused[address] = time.Now()
	}
	if most := 2 * memory * maxAddresses; len(n.seen) > most || len(n.refused) > 2*memory {
		t.Errorf("%d addresses are remembered, %d of them refused", len(n.seen), len(n.refused))
	}
}
