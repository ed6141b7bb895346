package httpx

import (
	"cmp"
	"math"
	"net/netip"
	"time"
)

// Limits bound what clients may hold of a server. A zero field means the
// default.
type Limits struct {
	// Head is how long a client may take to send the head of a request (5 s),
	// and as long may a TLS handshake take.
	Head time.Duration
	// Idle is how long a connection may rest between requests (2 min).
	Idle time.Duration
	// Stall is how long a client may leave what is sent to it unread (1 min).
	Stall time.Duration
	// MaxHead bounds the start line and the fields of a request, in bytes (32 KiB).
	MaxHead int
	// Streams is how many requests one HTTP/2 connection may have under way (128).
	Streams int
	// Connections is how many connections there may be (20,000). When there are
	// as many, those that rest the longest make room for new ones.
	Connections int
	// ConnectionsPerClient is how many of them one client may have (no bound but
	// the total). A client is an IPv4 address, or an IPv6 network of 64 bits.
	ConnectionsPerClient int
	// Exempt are networks of proxies, which bring many clients' requests: for
	// them only Connections counts.
	Exempt []netip.Prefix
}

// complete fills in the defaults.
func (l *Limits) complete() {
	l.Head = cmp.Or(l.Head, 5*time.Second)
	l.Idle = cmp.Or(l.Idle, 2*time.Minute)
	l.Stall = cmp.Or(l.Stall, time.Minute)
	l.MaxHead = cmp.Or(l.MaxHead, 32<<10)
	l.Streams = cmp.Or(l.Streams, 128)
	l.Connections = cmp.Or(l.Connections, 20_000)
	l.ConnectionsPerClient = cmp.Or(l.ConnectionsPerClient, math.MaxInt)
}

// clientOf gives the address that stands for a client, or the zero Addr for
// one that is exempt.
func (l *Limits) clientOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if isTrusted(addr, l.Exempt) {
		return netip.Addr{}
	}
	if addr.Is6() {
		network, _ := addr.Prefix(64) // never fails: an IPv6 address has 128 bits
		return network.Addr()
	}
	return addr
}

// WithLimits bounds clients otherwise than by default.
func WithLimits(limits Limits) ServerOption {
	return func(s *Server) error {
		s.limits = limits
		return nil
	}
}
