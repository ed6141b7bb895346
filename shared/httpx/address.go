package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddr tells from which address a request was made. X-Forwarded-For is
// read from its right end, and only as far as each address that vouches for
// the next one is a trusted proxy: what a client wrote there itself is never
// believed. The zero Addr means that there is no address.
func ClientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := peerAddr(r)
	if !isTrusted(addr, trusted) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseAddr(strings.TrimSpace(hops[i]))
		if !ok {
			return addr // nobody who is trusted writes this
		}
		addr = hop
		if !isTrusted(addr, trusted) {
			return addr
		}
	}
	return addr
}

// peerAddr is the other end of the connection.
func peerAddr(r *http.Request) netip.Addr {
	addr, _ := parseAddr(r.RemoteAddr)
	return addr
}

// parseAddr reads an address with or without a port or brackets. An IPv4
// address inside IPv6 is the IPv4 address, so that it has one spelling.
func parseAddr(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	if !addr.IsValid() {
		return false
	}
	for _, prefix := range trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clientScheme tells whether the client used https, as far as that is known.
func clientScheme(r *http.Request, trusted []netip.Prefix) string {
	if r.TLS != nil {
		return "https"
	}
	if len(trusted) == 0 || !isTrusted(peerAddr(r), trusted) {
		return "http"
	}
	given := strings.Join(r.Header.Values("X-Forwarded-Proto"), ",")
	nearest := strings.TrimSpace(given[strings.LastIndexByte(given, ',')+1:])
	if strings.EqualFold(nearest, "https") || strings.EqualFold(nearest, "wss") {
		return "https"
	}
	return "http"
}
