package route

import (
	"net"
	"net/http"
	"strings"
)

// Table is a compiled set of routes and the upstreams they lead to. It never
// changes.
type Table struct {
	builtIn   *node            // before all others, on every host
	hosts     map[string]*node // by name
	wildHosts map[string]*node // by what follows the first label and its dot
	anyHost   *node
	routes    []*Route // by name
	upstreams []Upstream
	allow     string // of the gateway itself
}

// Match finds the route of a request. path is a result of CheckTarget, host
// the host the request is for, with or without a port.
//
// If there is a route, it is returned alone. If the path is known and the
// method is not allowed on it, the route is nil and allow is the value of the
// Allow field (RFC 9110 section 10.2.1); this is also the answer to every
// OPTIONS request, which the gateway answers itself. If the path is unknown,
// both are zero.
//
// A path with parameters is known only where it leads with and without them,
// and where the route takes them: servers differ on whether they count.
func (t *Table) Match(method, host, path string) (r *Route, allow string) {
	if path == AnyTarget {
		return nil, t.allow
	}
	l := t.find(host, path)
	if l == nil {
		return nil, ""
	}
	if HasParameters(path) && (!l.parameters || l != t.find(host, withoutParameters(path))) {
		return nil, ""
	}
	if i := methodIndex(method); i >= 0 && l.routes[i] != nil {
		if HasParameters(path) && !l.routes[i].PathParameters {
			return nil, ""
		}
		return l.routes[i], ""
	}
	return nil, l.allow
}

// find gives the leaf of a path on a host, or nil.
func (t *Table) find(host, path string) *leaf {
	l := t.builtIn.find(path)
	if l == nil && len(t.hosts)+len(t.wildHosts) > 0 {
		named, wild := t.hostTrees(host)
		if l = named.find(path); l == nil {
			l = wild.find(path)
		}
	}
	if l == nil {
		l = t.anyHost.find(path)
	}
	return l
}

// Routes are the routes of the table, ordered by name. They must not be
// changed.
func (t *Table) Routes() []*Route { return t.routes }

// Upstreams are the upstreams of the table, ordered by name, without the
// gateway itself. They must not be changed.
func (t *Table) Upstreams() []Upstream { return t.upstreams }

// hostTrees finds the routes of a host and those of all hosts that are named
// like it, whatever its case, port or trailing dot.
func (t *Table) hostTrees(host string) (named, wild *node) {
	host = withoutPort(host)
	host = strings.TrimSuffix(host, ".")
	var lower [maxHost]byte
	if len(host) > len(lower) {
		return nil, nil
	}
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	named = t.hosts[string(lower[:len(host)])]
	if dot := strings.IndexByte(host, '.'); dot > 0 {
		wild = t.wildHosts[string(lower[dot+1:len(host)])]
	}
	return named, wild
}

// maxHost is the length of the longest host name (RFC 1035 section 2.3.4).
const maxHost = 253

// withoutPort takes the port off a Host field's value.
func withoutPort(host string) string {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.IndexByte(host[colon:], ']') >= 0 {
		return host
	}
	return host[:colon]
}

// normalHost is how a host is written in a definition, or false if it is none.
func normalHost(text string) (string, bool) {
	host := strings.ToLower(strings.TrimSuffix(text, "."))
	if host == "" || len(host) > maxHost {
		return "", false
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		return host, found && net.ParseIP(inner) != nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	return host, true
}

// anyLabel begins the pattern of all hosts that have one label before a name.
const anyLabel = "*."

// hostPattern is how a host or a pattern of hosts is written in a definition,
// or false if it is none.
func hostPattern(text string) (string, bool) {
	name, wild := strings.CutPrefix(text, anyLabel)
	host, ok := normalHost(name)
	if !wild || !ok {
		return host, ok
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	isName := host[0] != '[' && strings.Trim(last, "0123456789") != "" // and not the end of an address
	return anyLabel + host, isName && len(host)+len("a.") <= maxHost
}

// fitsHost reports whether a host, as normalHost gives it, is one of a route's.
func fitsHost(pattern, host string) bool {
	if pattern == "" || pattern == host {
		return true
	}
	name, wild := strings.CutPrefix(pattern, anyLabel)
	label, rest, _ := strings.Cut(host, ".")
	return wild && label != "" && rest == name
}

// ForwardPath gives the path to ask the upstream for, from a checked path that
// matched the route. Behind the prefix that is taken off, not a byte changes.
func (r *Route) ForwardPath(path string) string {
	if r.strip == 0 && r.Rewrite.ReplacePrefix == "" {
		return path
	}
	taken, put := r.Rewritten(path)
	if path = put + path[len(taken):]; path == "" {
		return "/"
	}
	return path
}

// Rewritten gives the beginning that ForwardPath takes off a path, and what it
// puts in its place, both without a slash at the end.
func (r *Route) Rewritten(path string) (taken, put string) {
	end := 0
	for range r.strip {
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			end = len(path)
			break
		}
		end += 1 + next
	}
	return path[:end], strings.TrimSuffix(r.Rewrite.ReplacePrefix, "/")
}

// publicMethods is the value of the Allow field for the gateway as a whole.
func publicMethods(routes []*Route) string {
	var set methodSet
	for _, r := range routes {
		set |= methodSetOf(r.Match.Methods)
	}
	if set.has(getIndex) {
		set |= 1 << headIndex
	}
	if set == 0 {
		return http.MethodOptions
	}
	return set.allow()
}
