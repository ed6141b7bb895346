package gatewayapp

import "gatehouse.internal/shared/fault"

// checkHost refuses a host that is none: what stands there is compared with
// the routes', and told to upstreams. In HTTP/2 it is said in :authority, and a
// Host field beside it must say the same (RFC 9113 section 8.3.1).
func (p *pipeline) checkHost(q *request) error {
	if !plainHost(q.r.Host) {
		return fault.New(fault.Malformed, "The host of the request is not a name or an address.")
	}
	if fields, given := q.r.Header["Host"]; given { // net/http takes it out in HTTP/1.1
		if len(fields) != 1 || fields[0] != q.r.Host {
			return fault.New(fault.Malformed, "The request names two hosts.")
		}
		delete(q.r.Header, "Host")
	}
	return nil
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
