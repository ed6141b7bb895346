package httpx_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// secured are the security headers of an answer, those that it has.
func secured(header http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range []string{
		"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy",
		"Cross-Origin-Resource-Policy", "Strict-Transport-Security",
	} {
		for _, value := range header.Values(name) {
			out[name] += value + ";"
		}
	}
	return out
}

func TestNew_S_P18_security_headers(t *testing.T) {
	own := map[string]string{
		"X-Content-Type-Options": "nosniff;", "X-Frame-Options": "DENY;", "Referrer-Policy": "no-referrer;",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none';", "Cross-Origin-Resource-Policy": "same-origin;",
	}
	with := func(name, value string) map[string]string {
		out := map[string]string{name: value}
		for n, v := range own {
			if n != name {
				out[n] = v
			}
		}
		return out
	}
	const hsts = "max-age=31536000; includeSubDomains;"
	proxy := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
	for _, c := range []struct {
		name    string
		path    string
		proxies []netip.Prefix
		header  []string
		want    map[string]string
	}{
		{name: "an own answer has them", path: "/own", want: own},
		{name: "a problem has them", path: "/none", want: own},
		{name: "a handler that knows better is left alone", path: "/page", want: with("Content-Security-Policy", "default-src 'self';")},
		{name: "an upstream's answer is its own", path: "/upstream", want: map[string]string{"X-Frame-Options": "SAMEORIGIN;"}},
		{name: "a problem instead of an upstream's answer has them", path: "/away", want: own},
		{name: "HSTS is sent over https", path: "/own", proxies: proxy, header: []string{"X-Forwarded-Proto: http, HTTPS"},
			want: with("Strict-Transport-Security", hsts)},
		{name: "HSTS speaks for upstreams too", path: "/upstream", proxies: proxy, header: []string{"X-Forwarded-Proto: https"},
			want: map[string]string{"X-Frame-Options": "SAMEORIGIN;", "Strict-Transport-Security": hsts}},
		{name: "a client cannot claim https", path: "/own", header: []string{"X-Forwarded-Proto: https"}, want: own},
		{name: "nor through the left side of the list", path: "/own", proxies: proxy, header: []string{"X-Forwarded-Proto: https, http"}, want: own},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(httpx.Options{TrustedProxies: c.proxies})
			s.GET("/own", ok)
			s.GET("/page", func(c echo.Context) error {
				c.Response().Header().Set("Content-Security-Policy", "default-src 'self'")
				return ok(c)
			})
			s.GET("/upstream", func(c echo.Context) error {
				httpx.PassThrough(c.Request().Context())
				c.Response().Header().Set("X-Frame-Options", "SAMEORIGIN")
				return ok(c)
			})
			s.GET("/away", func(c echo.Context) error {
				httpx.PassThrough(c.Request().Context())
				return fault.New(fault.UpstreamUnavailable, "")
			})
			if diff := cmp.Diff(c.want, secured(s.call("GET", c.path, "", c.header...).Header())); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNew_the_request_id_of_an_upstream_is_replaced(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error {
		c.Response().Header().Add("X-Request-Id", "theirs")
		return ok(c)
	})
	got := s.call("GET", "/x", "").Header().Values("X-Request-Id")
	if len(got) != 1 || got[0] == "theirs" {
		t.Errorf("got %q", got)
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"the peer counts", "192.0.2.1:5", nil, "192.0.2.1"},
		{"S-P17 what an untrusted peer says does not", "192.0.2.1:5", []string{"1.1.1.1"}, "192.0.2.1"},
		{"what a trusted proxy says does", "10.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7"},
		{"S-P17 what a client wrote itself does not", "10.0.0.1:5", []string{"1.1.1.1, 192.0.2.7"}, "192.0.2.7"},
		{"nor in a line of its own", "10.0.0.1:5", []string{"1.1.1.1", "192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		{"a chain of trusted proxies alone ends at its start", "10.0.0.1:5", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"a proxy that says nothing is the client", "10.0.0.1:5", nil, "10.0.0.1"},
		{"garbage ends the chain", "10.0.0.1:5", []string{"1.1.1.1, garbage, 10.0.0.2"}, "10.0.0.2"},
		{"IPv6 with brackets and port", "[fd00::1]:5", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"IPv4 in IPv6 is IPv4", "[::ffff:10.0.0.1]:5", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"a zone is dropped", "[fe80::1%eth0]:5", nil, "fe80::1"},
		{"no address is none", "@", []string{"1.1.1.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
			if got := httpx.ClientAddr(r, trusted).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestNew_RealIP_is_the_client_address(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error { return c.String(http.StatusOK, c.RealIP()) })
	if got := s.call("GET", "/x", "", "X-Forwarded-For: 1.1.1.1", "X-Real-Ip: 1.1.1.1").Body.String(); got != "192.0.2.1" {
		t.Errorf("got %s", got)
	}
	r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
	r.RemoteAddr = "@"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if got := w.Body.String(); got != "" {
		t.Errorf("a unix socket has the address %q", got)
	}
}
