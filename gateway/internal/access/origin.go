package access

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Origins are the other origins whose pages may call with the cookies of
// their users. The zero value trusts none.
type Origins struct {
	trusted map[string]struct{}
}

// NewOrigins reads origins as scheme://host[:port], the form of the Origin
// field. A wildcard is refused: it would let every site act for every user
// (S-C5).
func NewOrigins(texts ...string) (Origins, error) {
	o := Origins{trusted: make(map[string]struct{}, len(texts))}
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != text ||
			strings.Contains(text, "*") || u.Host != strings.ToLower(u.Host) {
			return Origins{}, fmt.Errorf("%q is not an origin like https://app.example.com", text)
		}
		o.trusted[text] = struct{}{}
	}
	return o, nil
}

// Trusts reports whether pages of the origin may call with cookies.
func (o Origins) Trusts(origin string) bool {
	_, trusted := o.trusted[origin]
	return trusted
}

// permit reports whether a request that a cookie vouches for may have come
// from where it says (S-C3). It decides as http.CrossOriginProtection does:
// safe methods pass, unless they switch protocols; a browser's own word,
// Sec-Fetch-Site, counts first; an Origin must be this host or a trusted one;
// a client that sends neither is no browser, and nobody else's cookies are at
// stake.
func (o Origins) permit(r *Request) bool {
	if !r.Upgrade && isSafe(r.Method) {
		return true
	}
	switch r.SecFetchSite {
	case "same-origin", "none":
		return true
	case "":
		if r.Origin == "" || isHost(r.Origin, r.Host) {
			return true
		}
	}
	return o.Trusts(r.Origin)
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isHost reports whether an origin is that of the host. A gateway behind a
// proxy that ends TLS does not know its own scheme, so both will do.
func isHost(origin, host string) bool {
	authority, found := strings.CutPrefix(origin, "https://")
	if !found {
		authority, found = strings.CutPrefix(origin, "http://")
	}
	return found && host != "" && authority == host
}
