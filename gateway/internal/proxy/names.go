package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	maxAddresses   = 64 // of an answer that are used
)

// Names are the targets of one upstream that are given by name, and the
// addresses they have now. They are looked up again and again. When the
// addresses of a name have changed, connections that were made before carry no
// further request; when they cannot be found out, the last ones that were
// found stay. New connections go to the addresses in turn. A name server may
// tell only some of many addresses, and others each time: that is no change,
// see named.
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
			n.host[host] = newNamed()
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
			if err := n.lookup(ctx, host); err != nil && !isOver(ctx) {
				n.keep(host, err)
			}
		})
	}
	group.Wait()
}

// lookup asks for the addresses of a name and takes them in.
func (n *Names) lookup(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := n.o.Resolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(found) == 0 {
		err = errors.New("the name has no address")
	}
	if err != nil {
		return fmt.Errorf("look up %s: %w", host, err)
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
	return nil
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
	old, again := name.addresses, name.failing
	name.failing = false
	began, changed := name.take(all)
	var tell []func()
	if changed {
		tell = slices.Clone(n.changed)
	}
	n.mu.Unlock()
	if again {
		n.o.Log.Info("the name of a target can be looked up again", "host", host)
	}
	switch {
	case began:
		n.o.Log.Info("the name of a target is answered with some of its addresses, others each time; one counts as gone when it has not come for a while", "host", host, "now", all, "before", old)
	case changed:
		n.o.Log.Info("the name of a target has other addresses", "host", host, "now", all, "before", old)
	}
	for _, f := range tell {
		f()
	}
}

// order gives the addresses of a name for a new connection, see named.
func (n *Names) order(host string, now time.Time) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host[host].order(now)
}

// refuse notes that an address could not be reached.
func (n *Names) refuse(host string, a netip.Addr, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := n.host[host]; slices.Contains(name.addresses, a) { // so there are no more than are remembered
		name.refused[a] = now.Add(n.o.Refresh)
	}
}
