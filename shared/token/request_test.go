package token_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
)

func TestFromRequest(t *testing.T) {
	type want struct {
		raw    string
		cookie bool
		kind   fault.Kind
	}
	missing, malformed, invalid := want{kind: fault.TokenMissing}, want{kind: fault.Malformed}, want{kind: fault.TokenInvalid}
	for _, c := range []struct {
		name    string
		headers []string // name and value by turns
		query   string
		want    want
	}{
		{name: "nothing", want: missing},
		{name: "a bearer token", headers: []string{"Authorization", "Bearer abc.def"}, want: want{raw: "abc.def"}},
		{name: "S-B5 the scheme in any case", headers: []string{"Authorization", "bEARER abc"}, want: want{raw: "abc"}},
		{name: "several spaces", headers: []string{"Authorization", "Bearer   abc "}, want: want{raw: "abc"}},
		{name: "a tab is no space", headers: []string{"Authorization", "Bearer\tabc"}, want: missing},
		{name: "another scheme is no token", headers: []string{"Authorization", "Basic YTpi"}, want: missing},
		{name: "a scheme that begins like ours", headers: []string{"Authorization", "BearerX abc"}, want: missing},
		{name: "no token behind the scheme", headers: []string{"Authorization", "Bearer"}, want: invalid},
		{name: "spaces behind the scheme", headers: []string{"Authorization", "Bearer  "}, want: invalid},
		{name: "an empty field", headers: []string{"Authorization", ""}, want: invalid},
		{name: "S-B2 two fields", headers: []string{"Authorization", "Bearer abc", "Authorization", "Bearer abc"}, want: malformed},
		{name: "S-B2 two fields of two schemes", headers: []string{"Authorization", "Bearer abc", "Authorization", "Basic YTpi"}, want: malformed},
		{name: "S-B2 a list in one field", headers: []string{"Authorization", "Bearer abc, Bearer def"}, want: malformed},
		{name: "S-B2 a list with another scheme behind", headers: []string{"Authorization", "Bearer abc,Basic YTpi"}, want: malformed},
		{name: "S-B2 a header and a query", headers: []string{"Authorization", "Bearer abc"}, query: "x=1&access_token=def", want: malformed},
		{name: "S-B2 a header and an escaped query", headers: []string{"Authorization", "Bearer abc"}, query: "access%5Ftoken=def", want: malformed},
		{name: "S-B2 a header and a query behind a semicolon", headers: []string{"Authorization", "Bearer abc"}, query: "x=1;access_token=def", want: malformed},
		{name: "S-B2 a cookie and a query", headers: []string{"Cookie", "__Host-access=abc"}, query: "access_token", want: malformed},
		{name: "S-B1 a query alone", query: "access_token=abc", want: missing},
		{name: "other parameters", headers: []string{"Authorization", "Bearer abc"}, query: "access_tokens=1&a=%zz&token=x&x=access_token", want: want{raw: "abc"}},
		{name: "a cookie", headers: []string{"Cookie", "a=b; __Host-access=abc.def; c=d"}, want: want{raw: "abc.def", cookie: true}},
		{name: "a cookie in the second field", headers: []string{"Cookie", "a=b", "Cookie", "__Host-access=abc"}, want: want{raw: "abc", cookie: true}},
		{name: "S-C2 a cookie in another case", headers: []string{"Cookie", "__host-access=abc"}, want: missing},
		{name: "S-C2 a cookie beside a variant of it", headers: []string{"Cookie", "__host-access=evil; __Host-access=abc"}, want: want{raw: "abc", cookie: true}},
		{name: "S-C2 the cookie twice", headers: []string{"Cookie", "__Host-access=abc; __Host-access=abc"}, want: malformed},
		{name: "S-C2 the cookie twice in two fields", headers: []string{"Cookie", "__Host-access=abc", "Cookie", "__Host-access=def"}, want: malformed},
		{name: "S-C2 the cookie twice, once empty", headers: []string{"Cookie", "__Host-access=abc; __Host-access="}, want: malformed},
		{name: "an empty cookie", headers: []string{"Cookie", "__Host-access="}, want: missing},
		{name: "a cookie of a longer name", headers: []string{"Cookie", "x__Host-access=abc; __Host-access2=abc"}, want: missing},
		{name: "S-C4 the header wins", headers: []string{"Authorization", "Bearer abc", "Cookie", "__Host-access=def"}, want: want{raw: "abc"}},
		{name: "S-C4 an empty header is not rescued", headers: []string{"Authorization", "", "Cookie", "__Host-access=def"}, want: invalid},
		{name: "S-C4 a header without a token is not rescued", headers: []string{"Authorization", "Bearer", "Cookie", "__Host-access=def"}, want: invalid},
		{name: "S-C4 another scheme is not rescued", headers: []string{"Authorization", "Basic YTpi", "Cookie", "__Host-access=def"}, want: missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/x?"+c.query, strings.NewReader("access_token=form"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for i := 0; i < len(c.headers); i += 2 {
				r.Header[c.headers[i]] = append(r.Header[c.headers[i]], c.headers[i+1])
			}
			raw, cookie, err := token.FromRequest(r, true)
			if got := (want{raw, cookie, fault.KindOf(err)}); got != c.want {
				t.Errorf("got %+v (%v), want %+v", got, err, c.want)
			}
		})
	}
}

func TestFromRequest_CookiesOnlyWhereAllowed(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Cookie", "__Host-access=abc")
	if raw, _, err := token.FromRequest(r, false); !fault.Is(err, fault.TokenMissing) || raw != "" {
		t.Errorf("got %q, %v, want token_missing", raw, err)
	}
}
