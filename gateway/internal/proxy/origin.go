package proxy

import (
	"net/http"
	"net/netip"
	"strings"
)

// Trust lists the addresses of the proxies in front of the gateway. Only they
// are believed when they say whose request they carry.
type Trust []netip.Prefix

// Origin is where a request came from, as far as trusted hops can tell.
type Origin struct {
	Client netip.Addr // the address that limits and logs go by; invalid if unknown
	Chain  string     // what X-Forwarded-For tells the upstream
	Proto  string     // http or https, as the client used it
	Host   string     // as the client asked for it
}

// Origin finds the origin of a request. An incoming chain is read from the
// right, from hop to trusted hop; what stands to the left of the first hop
// that is not trusted could have been written by anyone, and is left out.
func (t Trust) Origin(r *http.Request) Origin {
	peer := peerAddr(r.RemoteAddr)
	o := Origin{Client: peer, Proto: "http", Host: r.Host}
	if r.TLS != nil {
		o.Proto = "https"
	}
	if !peer.IsValid() {
		return o
	}
	o.Chain = text(peer, r.RemoteAddr)
	if !t.has(peer) {
		return o
	}
	t.follow(&o, r.Header["X-Forwarded-For"])
	if proto := lastElement(r.Header["X-Forwarded-Proto"]); proto == "http" || proto == "https" {
		o.Proto = proto
	}
	if host := lastElement(r.Header["X-Forwarded-Host"]); plausibleHost(host) {
		o.Host = host
	}
	return o
}

// follow goes up the chain as long as it is told by trusted hops.
func (t Trust) follow(o *Origin, lines []string) {
	for i := len(lines) - 1; i >= 0; i-- {
		for line, more := lines[i], true; more; {
			var element string
			element, line, more = cutLast(line)
			addr := hopAddr(element)
			if !addr.IsValid() {
				return
			}
			o.Client = addr
			o.Chain = addr.String() + ", " + o.Chain
			if !t.has(addr) {
				return
			}
		}
	}
}

func (t Trust) has(addr netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// cutLast takes the last element off a comma-separated list; more says whether
// something is left of it.
func cutLast(line string) (element, rest string, more bool) {
	i := strings.LastIndexByte(line, ',')
	if i < 0 {
		return strings.TrimSpace(line), "", false
	}
	return strings.TrimSpace(line[i+1:]), line[:i], true
}

func lastElement(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	element, _, _ := cutLast(lines[len(lines)-1])
	return element
}

// peerAddr reads the address of a connection's other end.
func peerAddr(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// text gives an address as text, which the one of the connection begins with if
// it is one of IPv4: these have one spelling.
func text(addr netip.Addr, remote string) string {
	if i := strings.IndexByte(remote, ':'); i > 0 && addr.Is4() && remote[0] != '[' {
		return remote[:i]
	}
	return addr.String()
}

// hopAddr reads an element of X-Forwarded-For, which some proxies write with a
// port.
func hopAddr(element string) netip.Addr {
	if addr, err := netip.ParseAddr(element); err == nil {
		return addr.Unmap().WithZone("")
	}
	return peerAddr(element)
}

func plausibleHost(host string) bool {
	if host == "" || len(host) > 255 {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]", rune(c)) {
			return false
		}
	}
	return true
}
