package gatewayapp

import (
	"net/netip"
	"strconv"
	"strings"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/fault"
)

// checkHost refuses a host that is none: what stands there is compared with
// the routes', and told to upstreams.
func (p *pipeline) checkHost(q *request) error {
	if !plainHost(q.r.Host) {
		return fault.New(fault.Malformed, "The host of the request is not a name or an address.")
	}
	if q.r.ProtoMajor >= 2 {
		return checkHTTP2(q)
	}
	return nil
}

// checkHTTP2 holds an HTTP/2 request to what net/http forgives. There is a host
// and a path, a Host field says the same as :authority, a Content-Length what
// the frames do, and no value begins or ends with white space (RFC 9113 sections
// 8.3.1, 8.1.1 and 8.2.1): an upstream that is stricter would end the request,
// and look as if it had failed. A body that is shorter or longer than its
// Content-Length is net/http's to refuse.
func checkHTTP2(q *request) error {
	h := q.r.Header
	if q.r.Host == "" {
		return fault.New(fault.Malformed, "The request names no host.")
	}
	if target := q.r.RequestURI; target == "" || target[0] != '/' && target != route.AnyTarget {
		return fault.New(fault.Malformed, "The request target is not a path.")
	}
	for _, values := range h {
		for _, value := range values {
			if value != "" && (isSpace(value[0]) || isSpace(value[len(value)-1])) {
				return fault.New(fault.Malformed, "A header field begins or ends with white space.")
			}
		}
	}
	if hosts, given := h["Host"]; given {
		if len(hosts) != 1 || hosts[0] != q.r.Host {
			return fault.New(fault.Malformed, "The request names two hosts.")
		}
		delete(h, "Host")
	}
	if lengths, given := h["Content-Length"]; given {
		if len(lengths) != 1 || !isLength(lengths[0], q.r.ContentLength) {
			return fault.New(fault.Malformed, "The Content-Length is not the length of the body.")
		}
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// isLength reports whether text is the number n, in digits alone.
func isLength(text string, n int64) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	got, err := strconv.ParseInt(text, 10, 64)
	return err == nil && got == n
}

// plainHost reports whether a host is made of the characters of names, or is an
// IPv6 address in brackets, and perhaps a port. An empty one is for HTTP/1.0,
// which may have none.
func plainHost(host string) bool {
	if len(host) > maxHost {
		return false
	}
	name := 0 // how long it is
	for name < len(host) && isNameByte(host[name]) {
		name++
	}
	switch {
	case name == len(host):
		return true
	case name > 0:
		return isPort(host[name:])
	}
	address, port, ends := strings.Cut(host, "]")
	if !ends || address == "" || address[0] != '[' {
		return false
	}
	ip, err := netip.ParseAddr(address[1:])
	return err == nil && ip.Is6() && ip.Zone() == "" && (port == "" || isPort(port))
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
}

// isPort reports whether text is a colon and a port, which may be empty (RFC
// 3986 section 3.2.3).
func isPort(text string) bool {
	if text == ":" {
		return true
	}
	if text[0] != ':' || len(text) > len(":65535") {
		return false
	}
	_, err := strconv.ParseUint(text[1:], 10, 16)
	return err == nil
}

// maxHost bounds a host: a name has 253 characters at most, and a port.
const maxHost = 260
