package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// locate has a Location that names the target itself, whose address is nobody's
// business outside, name the same place as the client sees it (RFC 9110 section
// 10.2.2). One that is a path alone is as the upstream wants it: it knows of
// X-Forwarded-Prefix.
func (x *exchange) locate(h http.Header) {
	lines := h["Location"]
	if len(lines) != 1 || lines[0] == "" || lines[0][0] == '/' {
		return
	}
	path, own := pathAt(x.target.URL, lines[0])
	if !own {
		return
	}
	path, mapped := strings.CutPrefix(path, x.call.Put)
	if !mapped || path != "" && path[0] != '/' && path[0] != '?' && path[0] != '#' || strings.HasPrefix(path, "//") {
		return // it is not this route's; or it would become the name of a host
	}
	if x.call.Taken == "" && (path == "" || path[0] != '/') {
		path = "/" + path
	}
	h["Location"] = []string{x.call.Taken + path}
}

// pathAt gives the path of an absolute address, and what follows, if it is one
// at the target.
func pathAt(target *url.URL, address string) (path string, own bool) {
	origin := target.Scheme + "://" + target.Host
	if len(address) < len(origin) || !strings.EqualFold(address[:len(origin)], origin) {
		return "", false
	}
	path = address[len(origin):]
	return path, path == "" || path[0] == '/' || path[0] == '?' || path[0] == '#'
}
