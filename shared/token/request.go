package token

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// FromRequest finds the access token of a request: in Authorization, else,
// where allowed, in the cookie __Host-access. It does not judge the token.
//
// The header wins, and whatever is wrong with it, the cookie does not make up
// for it. Credentials of another scheme are not a token: token_missing. More
// than one credential (RFC 6750 section 2) is malformed_request: two
// Authorization fields, a list in one, the cookie twice, or an access_token in
// the query beside a token. A token in the query alone is never looked at.
func FromRequest(r *http.Request, allowCookie bool) (raw string, fromCookie bool, err error) {
	raw, present, err := fromHeader(r.Header["Authorization"])
	if err != nil {
		return "", false, err
	}
	if !present && allowCookie {
		if raw, err = fromCookies(r.Header["Cookie"]); err != nil {
			return "", false, err
		}
		fromCookie = raw != ""
	}
	if raw == "" {
		return "", false, fault.New(fault.TokenMissing, "This request needs an access token.")
	}
	if queryHasToken(r.URL.RawQuery) {
		return "", false, fault.New(fault.Malformed, "The request has an access token in its query besides another one.")
	}
	return raw, fromCookie, nil
}

// fromHeader reads Authorization (RFC 9110 section 11.4). present is true for
// any such field, of whatever scheme.
func fromHeader(values []string) (raw string, present bool, err error) {
	if len(values) == 0 {
		return "", false, nil
	}
	if len(values) > 1 {
		return "", true, fault.New(fault.Malformed, "The request has more than one Authorization field.")
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	if scheme != "" && !strings.EqualFold(scheme, "Bearer") {
		return "", true, nil
	}
	raw = strings.Trim(rest, " ")
	if strings.Contains(raw, ",") {
		return "", true, fault.New(fault.Malformed, "The Authorization field has more than one credential.")
	}
	if scheme == "" || raw == "" {
		return "", true, fault.New(fault.TokenInvalid, "The Authorization field has no token.")
	}
	return raw, true, nil
}

// fromCookies finds our cookie by its exact name. Browsers compare the prefix
// __Host- without regard to case, so another spelling is another cookie.
func fromCookies(lines []string) (string, error) {
	found, value := 0, ""
	for _, line := range lines {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, content, _ := strings.Cut(pair, "=")
			if strings.Trim(name, " \t") == contract.CookieAccess {
				found++
				value = strings.Trim(content, " \t")
			}
		}
	}
	if found > 1 {
		return "", fault.New(fault.Malformed, "The request has the access token cookie more than once.")
	}
	return value, nil
}

// queryHasToken reports whether the query has a parameter access_token, in
// any escaped spelling.
func queryHasToken(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		for part := range strings.SplitSeq(pair, ";") {
			name, _, _ := strings.Cut(part, "=")
			if plain, err := url.QueryUnescape(name); err == nil && plain == "access_token" {
				return true
			}
		}
	}
	return false
}
