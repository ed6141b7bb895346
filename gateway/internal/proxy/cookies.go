package proxy

import (
	"net/http"
	"strings"

	"gatehouse.internal/shared/contract"
)

// dropCookies removes the gateway's own cookies from a request: the access
// token always, because it travels as Authorization, and the refresh token and
// the device's unless the upstream is the one that issued them. Browsers compare
// these prefixes without regard to case, so other spellings go as well. The
// other cookies keep their bytes.
func dropCookies(h http.Header, issuer bool) {
	lines, has := h["Cookie"]
	if !has {
		return
	}
	if len(lines) == 1 && withoutOwn(lines[0], issuer) == lines[0] {
		return
	}
	var kept []string // the lines are the client's
	for _, line := range lines {
		if line = withoutOwn(line, issuer); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

func withoutOwn(line string, issuer bool) string {
	found := false
	for pair := range strings.SplitSeq(line, ";") {
		found = found || ownCookie(pair, issuer)
	}
	if !found {
		return line
	}
	var out strings.Builder
	for pair := range strings.SplitSeq(line, ";") {
		if ownCookie(pair, issuer) || strings.TrimSpace(pair) == "" {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("; ")
		}
		out.WriteString(strings.TrimSpace(pair))
	}
	return out.String()
}

// ownCookie reports whether a pair of a Cookie or Set-Cookie line has the name
// of one of the gateway's cookies. What a browser keeps without a name it sends
// without the sign before the value, which may then look like a name.
func ownCookie(pair string, issuer bool) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(pair, " \t="), "=")
	name = strings.TrimSpace(name)
	if strings.EqualFold(name, contract.CookieAccess) {
		return true
	}
	return !issuer && (strings.EqualFold(name, contract.CookieRefresh) || strings.EqualFold(name, contract.CookieDevice))
}

// dropSetCookies keeps a service that is not the issuer from planting a
// session in a client.
func dropSetCookies(h http.Header) {
	lines, has := h["Set-Cookie"]
	if !has {
		return
	}
	kept := lines[:0]
	for _, line := range lines {
		if first, _, _ := strings.Cut(line, ";"); !ownCookie(first, false) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = kept
}
