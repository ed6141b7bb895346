package route

import (
	"net/http"
	"strings"

	"gatehouse.internal/shared/fault"
)

// MaxTarget is how long a request target may be, in bytes.
const MaxTarget = 8 << 10

// AnyTarget is the path of "OPTIONS *", which asks about the gateway itself
// (RFC 9112 section 3.2.4).
const AnyTarget = "*"

// CheckTarget reads a request target exactly as it came (http.Request's
// RequestURI) and returns its path, still escaped, to match, authorise and
// forward. It refuses with fault.Malformed every target whose path two parsers
// could read differently (S-P8), and with fault.URITooLong one that is too
// long. A method that no route can have is refused before anything is looked for,
// TRACE and CONNECT among them (S-P9, S-P10). host is the host the request is for (http.Request's Host): a target in
// absolute form must name the same.
//
// What passes has one reading: every byte is one that RFC 3986 allows in a
// path, or a bracket; every escape is well-formed, stands for a byte that
// cannot stand there itself, and for no separator of any kind; the escapes
// together are valid UTF-8; no segment is empty, except a last one, or made of
// dots. So decoding it once or twice, cleaning it, or parsing it again gives
// the same segments, but for parameters (RFC 3986 section 3.3), which some
// servers take off: see HasParameters and Table.Match.
func CheckTarget(method, target, host string) (path string, err error) {
	if methodIndex(method) < 0 && method != http.MethodOptions {
		return "", malformed(unknownMethod)
	}
	if len(target) > MaxTarget {
		return "", fault.New(fault.URITooLong, "The request target is too long.")
	}
	if target == AnyTarget && method == http.MethodOptions {
		return AnyTarget, nil
	}
	if target == "" || target[0] != '/' {
		var ok bool
		if target, ok = originForm(target, host); !ok {
			return "", malformed("The request target is not a path of this host.")
		}
	}
	path, query, _ := strings.Cut(target, "?")
	if reason := doubtfulPath(path); reason != "" {
		return "", malformed(reason)
	}
	if !plainQuery(query) {
		return "", malformed("The query holds a control character, a space or a fragment.")
	}
	return path, nil
}

// unknownMethod does not repeat the method, which can be as long as a head.
const unknownMethod = "The method of the request is none that this gateway knows."

func malformed(detail string) error { return fault.New(fault.Malformed, detail) }

// originForm takes scheme and authority off a target in absolute form (RFC
// 9112 section 3.2.2), if they name the given host.
func originForm(target, host string) (string, bool) {
	scheme, rest, found := strings.Cut(target, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if authority == "" || strings.Contains(authority, "@") || !strings.EqualFold(authority, host) {
		return "", false
	}
	if end == len(rest) || rest[end] != '/' {
		return "/" + rest[end:], true
	}
	return rest[end:], true
}

// plainQuery reports whether the query can be forwarded as it came. Its
// escapes are the upstream's business: nothing is decided by them here.
func plainQuery(query string) bool {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return false
		}
	}
	return true
}
