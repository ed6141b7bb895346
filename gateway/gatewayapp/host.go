package gatewayapp

import (
	"strconv"

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

// checkHTTP2 holds an HTTP/2 request to what its fields say twice. A Host field
// must say the same as :authority, and a Content-Length what the frames do (RFC
// 9113 sections 8.3.1 and 8.1.1): net/http takes the former as it is, and the
// first of several of the latter. A body that is shorter or longer than its
// Content-Length is net/http's to refuse.
func checkHTTP2(q *request) error {
	h := q.r.Header
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

// plainHost reports whether a host is made of the characters of names,
// addresses and ports. An empty one is for HTTP/1.0, which may have none.
func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(host) <= maxHost
}

// maxHost bounds a host: a name has 253 characters at most, and a port.
const maxHost = 260
