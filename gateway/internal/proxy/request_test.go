package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServe_PathAndQueryKeepTheirBytes(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL)
	for _, target := range []string{
		"/a", "/a/b?", "/a?x=1;y=2", "/a?x=%zz&y", "/a?a=%20+b&c=%C3%A9", "/%C3%A9/%20x", "/a%20b", "/a/;v=1", "/a?u=http://b/c?d#e",
		"/a?" + strings.Repeat("x=1&", 11000), "/%7Ea/~a/%7ea", "/a:b@c,d!$&'()*+=", "/a?%", "/a??b=?", "/a/?&&;;",
	} {
		name := target
		if len(name) > 30 {
			name = name[:30]
		}
		t.Run(name, func(t *testing.T) {
			res, _ := f.ask(t, "GET "+target+" HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
			if len(target) > 30000 && res.StatusCode == http.StatusRequestHeaderFieldsTooLarge {
				t.Fatal("the test's own request is too long")
			}
			if got := up.last(t).target; got != target {
				t.Errorf("upstream saw %q", got)
			}
		})
	}
}

// spellings are names that some server behind us could read as the given one.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), under, strings.ToLower(under), strings.ToUpper(under),
		strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "~"),
		strings.ReplaceAll(name, "-", "'"), strings.ReplaceAll(name, "-", "|"), "_" + name, name + "_",
	}
}

var forgeable = []string{
	"X-User-Id", "X-User-Roles", "X-User-Email-Verified", "X-User", "X-User-Name", "X-UserId", "X-Session-Id", "X-Session", "X-Roles", "X-Role",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Email",
	"Forwarded", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP",
	"X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Original-Uri", "X-Host", "X-Auth-Request-User", "X-Authenticated-User", "Remote-User", "X-Remote-User",
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Request-Id", "Proxy", "Via-X-User",
}

func TestServe_SP6IdentityCannotBeForged(t *testing.T) {
	up := newRecorder(t, nil)
	for _, signed := range []bool{true, false} {
		f := newFront(t, up.URL)
		if signed {
			f.calls(signedIn)
		}
		for _, name := range forgeable[:len(forgeable)-1] {
			t.Run(fmt.Sprintf("%s signed in %v", name, signed), func(t *testing.T) {
				var head strings.Builder
				for _, spelt := range spellings(name) {
					head.WriteString(spelt + ": evil\r\n" + spelt + ": evil, evil\r\n")
				}
				_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\n"+head.String()+"Connection: close, "+name+"\r\n\r\n")
				for got, values := range up.last(t).Header {
					if strings.Contains(strings.Join(values, " "), "evil") {
						t.Errorf("upstream got %s: %q", got, values)
					}
				}
			})
		}
	}
}

func TestServe_SP5NamingAHeaderInConnectionChangesNothing(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL).calls(signedIn)
	want := map[string]string{
		"X-User-Id": "user-1", "X-User-Roles": "user,editor", "X-User-Email-Verified": "true", "X-Session-Id": "session-1",
		"Authorization": "Bearer good.token", "X-Request-Id": "req-1", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "gw",
		"X-Forwarded-Proto": "http", "Traceparent": "00-a-b-01", "Via": "1.1 gatehouse-node-1",
	}
	for name := range want {
		for _, spelt := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\n"+spelt+": evil\r\nConnection: close, "+spelt+"\r\nConnection: "+spelt+"\r\n\r\n")
			got := map[string]string{}
			for k := range want {
				got[k] = strings.Join(up.last(t).Header[k], "|")
			}
			if name == "Via" {
				got["Via"] = "1.1 gatehouse-node-1" // a chain before us may stay or go
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("naming %s: %s", spelt, diff)
			}
		}
	}
}

func TestServe_AnonymousCallersHaveNoIdentity(t *testing.T) {
	up := newRecorder(t, nil)
	for _, keep := range []bool{true, false} {
		f := newFront(t, up.URL).calls(func(c *Call) { c.KeepAuthorization = keep })
		_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nAuthorization: Basic Zm9v\r\nConnection: close\r\n\r\n")
		h := up.last(t).Header
		if got := h.Get("Authorization") == "Basic Zm9v"; got != keep {
			t.Errorf("kept %v: upstream got Authorization %q", keep, h.Get("Authorization"))
		}
		for _, name := range []string{"X-User-Id", "X-User-Roles", "X-User-Email-Verified", "X-Session-Id"} {
			if _, has := h[name]; has {
				t.Errorf("upstream got %s", name)
			}
		}
	}
}

func TestServe_OddSpellingsOfFramingAndCredentialsAreDropped(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL).calls(signedIn)
	_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\nAuthoriz_ation: kept\r\nAUTHORIZATION_: x\r\n"+
		"Coo.kie: kept\r\nCookie_: x\r\nContent.Type: x\r\nMy_Own: kept\r\nHTTP2-Settings: AAMAAABkAAQ\r\nTE: trailers\r\nConnection: close\r\n\r\n")
	h := up.last(t).Header
	for _, gone := range []string{"Content_Length", "Transfer_Encoding", "Content.Type", "Http2-Settings", "Te"} {
		if _, has := h[gone]; has {
			t.Errorf("upstream got %s", gone)
		}
	}
	for _, kept := range []string{"My_Own", "Authoriz_ation", "Coo.kie"} {
		if h.Get(kept) != "kept" {
			t.Errorf("upstream did not get %s", kept)
		}
	}
}

func TestServe_Cookies(t *testing.T) {
	up := newRecorder(t, nil)
	for _, c := range []struct {
		name, sent, want string
		issuer           bool
	}{
		{"others keep their bytes", `a=1;b="x y" ;  c`, `a=1;b="x y" ;  c`, false},
		{"both of ours go", "a=1; __Host-access=t; __Secure-refresh=r; b=2", "a=1; b=2", false},
		{"the issuer gets the refresh token", "__Host-access=t; __Secure-refresh=r", "__Secure-refresh=r", true},
		{"what tells a device is for the issuer", "__Secure-device=d; a=1", "a=1", false},
		{"who gets it", "__Secure-device=d; a=1", "__Secure-device=d; a=1", true},
		{"in every case", "__HOST-access=t; __host-ACCESS=t;__secure-refresh=r", "", false},
		{"without spaces and twice", "__Host-access=t;a=1;__Host-access = u", "a=1", false},
		{"a name that only begins so stays", "__Host-access2=t", "__Host-access2=t", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := tunedFront(t, Options{Issuer: c.issuer}, up.URL)
			_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nCookie: "+c.sent+"\r\nConnection: close\r\n\r\n")
			if got := strings.Join(up.last(t).Header["Cookie"], "|"); got != c.want {
				t.Errorf("upstream got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTrust_Origin(t *testing.T) {
	trust := Trust{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, remote string
		chain        []string
		client, sent string
	}{
		{"a client's own chain is not believed", "203.0.113.9:1", []string{"1.1.1.1, 10.0.0.1"}, "203.0.113.9", "203.0.113.9"},
		{"a trusted proxy's is", "10.0.0.2:1", []string{"203.0.113.9"}, "203.0.113.9", "203.0.113.9, 10.0.0.2"},
		{"from the right", "10.0.0.2:1", []string{"1.1.1.1, 203.0.113.9, 10.0.0.3"}, "203.0.113.9", "203.0.113.9, 10.0.0.3, 10.0.0.2"},
		{"over several lines", "10.0.0.2:1", []string{"1.1.1.1", "203.0.113.9", "10.0.0.3"}, "203.0.113.9", "203.0.113.9, 10.0.0.3, 10.0.0.2"},
		{"garbage ends the chain", "10.0.0.2:1", []string{"1.1.1.1, evil"}, "10.0.0.2", "10.0.0.2"},
		{"ports and brackets", "10.0.0.2:1", []string{"[2001:db8::1]:44"}, "2001:db8::1", "2001:db8::1, 10.0.0.2"},
		{"all trusted", "10.0.0.2:1", []string{"10.0.0.7"}, "10.0.0.7", "10.0.0.7, 10.0.0.2"},
		{"IPv4 in IPv6 and zones have one spelling", "[::ffff:10.0.0.2%eth0]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9", "203.0.113.9, 10.0.0.2"},
		{"no address", "@", []string{"203.0.113.9"}, "invalid IP", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.remote, Host: "gw", Header: http.Header{"X-Forwarded-For": c.chain}}
			o := trust.Origin(r)
			if o.Client.String() != c.client || o.Chain != c.sent {
				t.Errorf("client %s, chain %q", o.Client, o.Chain)
			}
		})
	}
	t.Run("host and protocol are believed from a trusted proxy alone", func(t *testing.T) {
		h := http.Header{"X-Forwarded-Host": {"evil.example, app.example.com"}, "X-Forwarded-Proto": {"https"}}
		o := trust.Origin(&http.Request{RemoteAddr: "10.0.0.2:1", Host: "gw", Header: h})
		if o.Host != "app.example.com" || o.Proto != "https" {
			t.Errorf("trusted: %+v", o)
		}
		o = trust.Origin(&http.Request{RemoteAddr: "9.9.9.9:1", Host: "gw", Header: h})
		if o.Host != "gw" || o.Proto != "http" {
			t.Errorf("not trusted: %+v", o)
		}
		h = http.Header{"X-Forwarded-Host": {"a b\r\n"}, "X-Forwarded-Proto": {"javascript"}}
		o = trust.Origin(&http.Request{RemoteAddr: "10.0.0.2:1", Host: "gw", Header: h})
		if o.Host != "gw" || o.Proto != "http" {
			t.Errorf("implausible: %+v", o)
		}
	})
}

func TestServe_SP12Loops(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL)
	res, _ := f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nVia: 1.1 other, 2 gatehouse-node-1\r\nConnection: close\r\n\r\n")
	if res.StatusCode != http.StatusBadGateway || len(up.requests()) != 0 {
		t.Errorf("a request that came back gets %d", res.StatusCode)
	}
	_, _ = f.ask(t, "GET /a HTTP/1.0\r\nVia: 1.1 gatehouse-node-12\r\n\r\n")
	if got := strings.Join(up.last(t).Header["Via"], ", "); got != "1.1 gatehouse-node-12, 1.0 gatehouse-node-1" {
		t.Errorf("Via is %q", got)
	}
	if got := Pseudonym("a b/ü"); got != "gatehouse-a-b--" {
		t.Errorf("a pseudonym is not a token: %q", got)
	}
	if got := protocol(&http.Request{ProtoMajor: 2}); got != "2" {
		t.Errorf("HTTP/2 is named %q", got)
	}
}

func TestServe_SP3TrailersAreNotForwarded(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL).calls(signedIn)
	_, _ = f.ask(t, "POST /a HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\nTrailer: X-User-Id\r\nConnection: close\r\n\r\n"+
		"5;ext=1\r\nhello\r\n0\r\nX-User-Id: evil\r\n\r\n")
	got := up.last(t)
	if got.body != "hello" || got.Header.Get("X-User-Id") != "user-1" || len(got.Trailer) != 0 {
		t.Errorf("body %q, header %q, trailer %v", got.body, got.Header.Get("X-User-Id"), got.Trailer)
	}
}

func TestServe_SP13ARequestThatIsNotIdempotentIsSentOnce(t *testing.T) {
	// The upstream takes the second request of each connection and closes it
	// without an answer, which net/http takes for an idle connection that went
	// away: it repeats what it calls replayable.
	for _, c := range []struct{ name, request string }{
		{"an empty POST with Idempotency-Key", "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n"},
		{"an empty POST with X-Idempotency-Key", "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nX-Idempotency-Key: k\r\n\r\n"},
		{"a DELETE with Idempotency-Key", "DELETE /a HTTP/1.1\r\nHost: gw\r\nIdempotency-Key: k\r\n\r\n"},
		{"a POST with a body", "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nIdempotency-Key: k\r\n\r\nhello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var count atomic.Int32
			up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, "ok")
					return
				}
				count.Add(1)
				conn, _, _ := w.(http.Hijacker).Hijack()
				_ = conn.Close()
			})
			f := newFront(t, up.URL)
			_, in := f.raw(t, "GET /warm HTTP/1.1\r\nHost: gw\r\n\r\n")
			_, _ = answer(t, in)
			res, _ := f.ask(t, c.request)
			if res.StatusCode != http.StatusBadGateway || count.Load() != 1 {
				t.Errorf("sent %d times, answered %d", count.Load(), res.StatusCode)
			}
			if got := up.last(t).Header.Get("Idempotency-Key") + up.last(t).Header.Get("X-Idempotency-Key"); got != "k" {
				t.Errorf("upstream got the key %q", got)
			}
		})
	}
}

func TestServe_HostIsTheTargets(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL)
	_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
	if got := up.last(t); got.Host != strings.TrimPrefix(up.URL, "http://") || got.Header.Get("X-Forwarded-Host") != "evil.example" {
		t.Errorf("host %q, forwarded %q", got.Host, got.Header.Get("X-Forwarded-Host"))
	}
}

func TestServe_KeepAliveServesManyRequests(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL)
	var in *bufio.Reader
	c, in := f.raw(t, "")
	for i := range 5 {
		_, _ = fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: gw\r\nContent-Length: 2\r\n\r\nhi", i)
		if res, body := answer(t, in); res.StatusCode != http.StatusOK || body != "ok" {
			t.Fatalf("request %d: %d %q", i, res.StatusCode, body)
		}
	}
	if n := len(up.requests()); n != 5 {
		t.Errorf("upstream saw %d", n)
	}
}
