package gatewayapp

import (
	"net/http"
	"strings"

	"gatehouse.internal/gateway/internal/access"
)

const (
	// exposed are the fields of answers that pages of other origins may read.
	exposed = "ETag, Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, WWW-Authenticate, X-Request-Id"
	// preflightAge is for how many seconds a browser remembers a preflight.
	preflightAge = "600"
	// maxAsked bounds the list of fields that a preflight asks for.
	maxAsked = 1 << 10
)

// cors answers browsers which ask for pages of other origins (Fetch standard).
// Only origins on the list are answered at all; none is ever a wildcard, and an
// origin that is not on the list learns nothing (S-C5).
type cors struct {
	origins access.Origins
	any     bool // the list has an origin
}

// answer lets pages of a listed origin read the answer.
func (c cors) answer(out, in http.Header) {
	if !c.any {
		return
	}
	out.Add("Vary", "Origin")
	origin, ok := c.listed(in)
	if !ok {
		return
	}
	out.Set("Access-Control-Allow-Origin", origin)
	out.Set("Access-Control-Allow-Credentials", "true")
	out.Set("Access-Control-Expose-Headers", exposed)
}

// listed gives the one origin of a request, if it is on the list.
func (c cors) listed(in http.Header) (string, bool) {
	values := in["Origin"]
	if len(values) != 1 || !c.origins.Trusts(values[0]) {
		return "", false
	}
	return values[0], true
}

// preflight says what pages of a listed origin may send. The fields they ask
// for are granted: what a request may carry is decided when it comes.
func (c cors) preflight(out, in http.Header, allow string) {
	if _, ok := c.listed(in); !ok || in.Get("Access-Control-Request-Method") == "" {
		return
	}
	out.Del("Access-Control-Expose-Headers")
	out.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	out.Set("Access-Control-Allow-Methods", allow)
	out.Set("Access-Control-Max-Age", preflightAge)
	if asked := strings.Join(in["Access-Control-Request-Headers"], ", "); fieldNames(asked) {
		out.Set("Access-Control-Allow-Headers", asked)
	}
}

// fieldNames reports whether a text is a list of names of fields and safe to
// be sent back.
func fieldNames(text string) bool {
	if text == "" || len(text) > maxAsked {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != ',' && c != ' ' {
			return false
		}
	}
	return true
}
