package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of looking up names.
const (
	// DefaultRefresh is how often names are looked up where nobody says.
	DefaultRefresh = 10 * time.Second
	lookupTimeout  = 5 * time.Second
	maxLookups     = 16 // at once, for one upstream
	maxAddresses   = 64 // of a name that are used
	// leastTry is how long the first of several addresses has at least.
	leastTry = time.Second
)

// Names are the targets of one upstream that are given by name, and the
// addresses they have now. They are looked up again and again. When the
// addresses of a name have changed, connections that were made before carry no
// further request; when they cannot be found out, the last ones that were
// found stay. New connections go to the addresses in turn.
//
// To all other parts a name is one target: its probes go to its addresses in
// turn as well, and it is well or sick as a whole. Only a new connection tries
// another address when one cannot be reached, and that one last for a while.
type Names struct {
	o    NamesOptions
	host map[string]*named // never changes

	mu      sync.Mutex // guards the contents of host, and what follows
	changed []func()
}

// NamesOptions make Names. What is zero has its default.
type NamesOptions struct {
	Hosts    []string // names and addresses; the latter are left out
	Refresh  time.Duration
	Resolver *net.Resolver
	Log      *slog.Logger
	Failed   func() // told of every look-up that fails; may be nil
}

// named is one name.
type named struct {
	addresses []netip.Addr             // as found last; nil if never
	turn      int                      // of the next connection
	refused   map[netip.Addr]time.Time // where no connection came about, until when they come last
	failing   bool                     // the last look-up failed
}

// NewNames returns names that nobody has looked up yet. Without any, Run has
// nothing to do.
func NewNames(o NamesOptions) *Names {
	if o.Refresh <= 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Failed == nil {
		o.Failed = func() {}
	}
	n := &Names{o: o, host: map[string]*named{}}
	for _, host := range o.Hosts {
		if _, err := netip.ParseAddr(host); err != nil {
			n.host[host] = &named{refused: map[netip.Addr]time.Time{}}
		}
	}
	return n
}

// onChange has f called after the addresses of a name have changed. It must
// not wait for anything.
func (n *Names) onChange(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = append(n.changed, f)
}

// Run looks up all names at once and then at about every interval, until ctx
// ends.
func (n *Names) Run(ctx context.Context) {
	if len(n.host) == 0 {
		return
	}
	for {
		n.refresh(ctx)
		// A tenth more or less, so that gateways which began at once do not ask
		// at once for ever.
		if !sleepFor(ctx, n.o.Refresh-n.o.Refresh/10+rand.N(n.o.Refresh/5+1)) {
			return
		}
	}
}

func sleepFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// refresh looks up all names.
func (n *Names) refresh(ctx context.Context) {
	var group sync.WaitGroup
	room := make(chan struct{}, maxLookups)
	for host := range n.host {
		room <- struct{}{}
		group.Go(func() {
			defer func() { <-room }()
			_, _ = n.lookup(ctx, host) // said there
		})
	}
	group.Wait()
}

// lookup asks for the addresses of a name and keeps them.
func (n *Names) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := n.o.Resolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // else nobody wants to know any more
			n.keep(host, err)
		}
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	all := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		if a = a.Unmap(); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	if len(all) > maxAddresses { // the same ones each time, however they are shuffled
		slices.SortFunc(all, netip.Addr.Compare)
		all = all[:maxAddresses]
	}
	n.replace(host, all)
	return all, nil
}

// keep notes that a look-up has failed. What was found before stays.
func (n *Names) keep(host string, err error) {
	n.o.Failed()
	n.mu.Lock()
	name := n.host[host]
	first, known := !name.failing, len(name.addresses)
	name.failing = true
	n.mu.Unlock()
	if first {
		n.o.Log.Warn("the name of a target cannot be looked up; its last known addresses stay", "host", host, "addresses", known, "error", err)
	}
}

// replace takes in the addresses that were found.
func (n *Names) replace(host string, all []netip.Addr) {
	n.mu.Lock()
	name := n.host[host]
	old := name.addresses
	again := name.failing
	name.failing = false
	name.addresses = all
	var tell []func()
	if old != nil && !sameAddresses(old, all) {
		tell = slices.Clone(n.changed)
		maps.DeleteFunc(name.refused, func(a netip.Addr, _ time.Time) bool { return !slices.Contains(all, a) })
	}
	n.mu.Unlock()
	if again {
		n.o.Log.Info("the name of a target can be looked up again", "host", host)
	}
	if tell != nil {
		n.o.Log.Info("the name of a target has other addresses", "host", host, "now", all, "before", old)
	}
	for _, f := range tell {
		f()
	}
}

// sameAddresses compares in any order: many servers answer in turns.
func sameAddresses(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}

// order gives the addresses of a name in the order in which a new connection
// tries them, or nothing if they are not known yet. Each one begins in its
// turn, among those of the family that the system prefers.
func (n *Names) order(host string, now time.Time) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.host[host]
	if len(name.addresses) == 0 {
		return nil
	}
	var first, other, last []netip.Addr
	for _, a := range name.addresses {
		switch until, refused := name.refused[a]; {
		case refused && now.Before(until):
			last = append(last, a)
		case a.Is4() == name.addresses[0].Is4():
			first = append(first, a)
		default:
			other = append(other, a)
		}
	}
	name.turn++
	if len(first) > 0 {
		at := name.turn % len(first)
		first = append(first[at:len(first):len(first)], first[:at]...)
	}
	return slices.Concat(first, other, last)
}

// refuse notes that an address could not be reached.
func (n *Names) refuse(host string, a netip.Addr, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := n.host[host]; slices.Contains(name.addresses, a) { // so there are no more than addresses
		name.refused[a] = now.Add(n.o.Refresh)
	}
}

// dial connects to host:port within the time of d. It is d's own DialContext
// for addresses, and for names that are none of ours.
func (n *Names) dial(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || n == nil || n.host[host] == nil {
		return d.DialContext(ctx, network, address) //nolint:wrapcheck // it says what was attempted
	}
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	addresses := n.order(host, time.Now())
	if addresses == nil {
		if _, err := n.lookup(ctx, host); err != nil {
			return nil, err
		}
		addresses = n.order(host, time.Now())
	}
	var first error
	for i, a := range addresses {
		conn, err := dialShare(ctx, d, network, net.JoinHostPort(a.String(), port), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, err
		}
		n.refuse(host, a, time.Now())
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("connect to %s: %w", host, first)
}

// dialShare tries one of several addresses within its share of the time.
func dialShare(ctx context.Context, d *net.Dialer, network, address string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		rest := time.Until(deadline)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(rest/time.Duration(left), min(rest, leastTry)))
		defer cancel()
	}
	return d.DialContext(ctx, network, address) //nolint:wrapcheck // it says what was attempted
}
