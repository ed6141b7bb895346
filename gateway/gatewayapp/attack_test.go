package gatewayapp

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

// spelt are spellings of protected paths, and what a careless reader makes of
// them.
var spelt = []string{
	"//api/orders/x", "/api//orders/x", "/api/orders//x", "/api/orders/x//", "///api/orders/x", "/./api/orders/x", "/api/./orders/x", "/api/orders/./x", "/api/orders/x/.",
	"/../api/orders/x", "/api/../api/orders/x", "/api/public/../orders/x", "/api/public/..", "/api/public/../../api/orders/x", "/api/public/x/../../orders/x",
	"/api/public/%2e%2e/orders/x", "/api/public/%2E%2E/orders/x", "/api/public/.%2e/orders/x", "/api/public/%2e./orders/x", "/api/%2e/orders/x",
	"/api/public/%252e%252e/orders/x", "/api/public/..%2forders/x", "/api/public/..%5corders/x", "/api/public/..\\orders\\x", "/api/public\\..\\orders",
	"/api%2forders/x", "/api%2Forders/x", "/api%252forders/x", "/api%5corders%5cx", "/api\\orders\\x", "%2fapi/orders/x", "/%2fapi/orders/x", "/%2f/api/orders/x",
	"/api/orders%00/x", "/api/orders/x%00", "/api/public/%00", "/api/%6frders/x", "/api/%6Frders/x", "/%61pi/orders/x", "/api/orders/%78", "/api/o%72ders/x",
	"/api/orders;a=b/x", "/api;/orders/x", "/api/public;/../orders/x", "/api/public/x;/y", "/api/public/..;/orders/x", "/api/orders%3b/x",
	"/api/%c0%afx", "/api/orders/%c0%ae%c0%ae/x", "/api/public/%e0%80%af", "/api/public/%ff", "/api/public/\xff", "/api/public/ü", "/api/public/%u002e",
	"/api/public/%zz", "/api/public/%", "/api/public/%2", "/api/public/a%0ab", "/api/public/a%0d%0aX-User-Id:%20evil", "/api/public/%09", "/api/public/%7f", "/api/public/%85", "/api/public/%c2%85",
	"/API/orders/x", "/Api/Orders/X", "/api/orders./x", "/api/orders/x.", "/api/orders/x/", "/api/orders/...", "/api/public/...",
	"/api/public/x?/../orders/x", "/api/public/x?path=/api/orders/x", "/api/public/x?..%2forders", "/api/public/x#/api/orders/x", "/api/public/%23", "/api/public/%3f", "/api/public/%3Fx",
	"/api/public/%ef%bc%8e%ef%bc%8e/orders", "/api/public/%e2%80%a5/orders", "/api/public/%ef%bc%8f", "http://gw/api/public/x", "http://evil.example/api/public/x", "http://gw//api/orders/x", "http://u@gw/api/public/x",
	"*", "api/orders/x", "?", "/", "", "/api/public/" + strings.Repeat("a", 9000),
}

func TestPipeline_SP8OneReadingOfEveryPath(t *testing.T) {
	w := newWorld(t, nil)
	for _, target := range spelt {
		name := target[:min(len(target), 40)]
		t.Run(name, func(t *testing.T) {
			before := len(w.requests())
			res, body := w.ask("GET " + target + " HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
			all := w.requests()
			switch {
			case res.StatusCode == http.StatusOK:
				if len(all) != before+1 {
					t.Fatalf("200 without an upstream: %s", body)
				}
				sent := strings.TrimPrefix(strings.TrimPrefix(target, "http://gw"), "http://evil.example") // the target's host wins (RFC 9112 section 3.2.2)
				if got := all[before].RequestURI; got != sent || !strings.HasPrefix(got, "/api/public/") {
					t.Errorf("upstream saw %q", got)
				}
			case len(all) != before:
				t.Errorf("answered %d, but reached the upstream as %q", res.StatusCode, all[before].RequestURI)
			case res.StatusCode == http.StatusUnauthorized && !strings.HasPrefix(strings.TrimPrefix(target, "http://gw"), "/api/orders"):
				t.Errorf("it was taken for the protected route")
			case res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusRequestURITooLong:
				t.Errorf("got %d %s", res.StatusCode, body)
			}
		})
	}
}

// forgeries are names by which some server behind us could be told who calls.
var forgeries = []string{
	"X-User-Id", "x-user-id", "X-USER-ID", "X_User_Id", "x_user_id", "X-User_Id", "X.User.Id", "X-User-Roles", "X_USER_ROLES", "X-User-Email-Verified", "X-Session-Id", "X_Session_Id",
	"X-Roles", "X_Roles", "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "Forwarded", "X-Real-IP", "X_Real_IP",
	"X-Original-URL", "X_Original_URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X_HTTP_Method_Override", "X-Method-Override", "X-Request-Id", "X_Request_Id",
}

func TestPipeline_SP6ForgedHeadersOnEveryRoute(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	for _, path := range []string{"/api/public/x", "/api/optional/x", "/api/orders/x", "/auth/login", "/nowhere", "/api//public"} {
		for _, credential := range []string{"", bearer + good + "\r\n", "Cookie: __Host-access=" + good + "\r\n"} {
			for _, connection := range []string{"close", "close, %s", "%s, close"} {
				var head strings.Builder
				for _, name := range forgeries {
					fmt.Fprintf(&head, "%s: evil\r\n%s: evil,evil\r\n", name, name)
				}
				named := connection
				if strings.Contains(connection, "%s") {
					named = fmt.Sprintf(connection, strings.Join(forgeries, ", "))
				}
				method := "GET"
				if path == "/auth/login" {
					method = "POST"
				}
				before := len(w.requests())
				res, _ := w.ask(method + " " + path + " HTTP/1.1\r\nHost: gw\r\n" + credential + head.String() + "Connection: " + named + "\r\n\r\n")
				if strings.Contains(fmt.Sprint(res.Header), "evil") {
					t.Errorf("%s: the answer has a forged header: %v", path, res.Header)
				}
				for _, r := range w.requests()[before:] {
					if strings.Contains(fmt.Sprint(r.Header), "evil") {
						t.Errorf("%s: upstream got a forged header: %v", path, r.Header)
					}
					signedIn := credential != "" && (path == "/api/optional/x" || path == "/api/orders/x")
					if (r.Header.Get("X-User-Id") != "") != signedIn || len(r.Header["X-Request-Id"]) != 1 || len(r.Header["X-Forwarded-For"]) != 1 {
						t.Errorf("%s: upstream got %v", path, r.Header)
					}
				}
			}
		}
	}
}

func TestPipeline_SP11UpgradeIsJudgedByTheRoute(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, "upgrade:"+r.Header.Get("Upgrade"))
	})
	const head = "Host: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\n"
	for path, want := range map[string]string{"/api/public/x": "upgrade:", "/api/orders/x": "upgrade:", "/ws/x": "upgrade:websocket"} {
		c, in := w.raw("GET " + path + " HTTP/1.1\r\n" + head + bearer + good + "\r\n\r\n")
		if res, body := readAnswer(t, in); res.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
		_, _ = io.WriteString(c, "GET /api/orders/admin/x HTTP/1.1\r\nHost: gw\r\nX-User-Id: evil\r\n\r\n")
		if res, body := readAnswer(t, in); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: a second request on the connection gets %d %q", path, res.StatusCode, body)
		}
	}
	res, body := w.ask("GET /ws/x HTTP/1.1\r\n" + head + "\r\n")
	wantProblem(t, res, body, 401, fault.TokenMissing)
	byCookie := head + "Cookie: __Host-access=" + good + "\r\n"
	res, body = w.ask("GET /ws/x HTTP/1.1\r\n" + byCookie + "Origin: https://evil.example\r\n\r\n")
	wantProblem(t, res, body, 403, fault.CrossOriginDenied) // S-C3 a handshake is a GET, and another site can send it
	if res, body = w.ask("GET /ws/x HTTP/1.1\r\n" + byCookie + "Origin: http://gw\r\n\r\n"); body != "upgrade:websocket" {
		t.Errorf("from this site: %d %q", res.StatusCode, body)
	}
}

func TestPipeline_SP16Limits(t *testing.T) {
	w := newWorld(t, nil)
	t.Run("a 3 MB body to a route of 64 KiB gets its problem", func(t *testing.T) {
		for _, known := range []bool{true, false} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", 3_000_000))
			if !known {
				body = io.MultiReader(body) // its length is not told, so it comes in chunks
			}
			res, text := w.send("POST", "/api/small/x", body)
			wantProblem(t, res, text, 413, fault.PayloadTooLarge)
		}
	})
	t.Run("so does one to a route that refuses for another reason", func(t *testing.T) {
		for _, n := range []int{10, 100_000, 3_000_000} {
			res, text := w.send("POST", "/api/orders/x", strings.NewReader(strings.Repeat("x", n)))
			wantProblem(t, res, text, 401, fault.TokenMissing)
		}
	})
	t.Run("a client that stalls in a refused body gets its answer at once", func(t *testing.T) {
		for _, way := range []string{"", byNetHTTP} {
			for _, length := range []int{100, 100_000, 3_000_000} {
				began := time.Now()
				_, in := w.raw(fmt.Sprintf("POST /api/orders/x HTTP/1.1\r\nHost: gw\r\n%sContent-Length: %d\r\n\r\nhello", way, length))
				res, text := readAnswer(t, in)
				wantProblem(t, res, text, 401, fault.TokenMissing)
				if took := time.Since(began); took > time.Second {
					t.Errorf("%d bytes, %q: it took %v", length, way, took)
				}
			}
		}
	})
	t.Run("a client that asks first is not asked for a refused body", func(t *testing.T) {
		_, in := w.raw("POST /api/orders/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
		res, text := readAnswer(t, in)
		wantProblem(t, res, text, 401, fault.TokenMissing)
	})
	t.Run("a small refused body leaves the connection usable", func(t *testing.T) {
		for _, way := range []string{"", byNetHTTP} {
			c, in := w.raw("POST /api/orders/x HTTP/1.1\r\nHost: gw\r\n" + way + "Content-Length: 5\r\n\r\nhello")
			_, _ = readAnswer(t, in)
			_, _ = io.WriteString(c, "GET /api/public/x HTTP/1.1\r\nHost: gw\r\n\r\n")
			if res, _ := readAnswer(t, in); res.StatusCode != http.StatusOK {
				t.Errorf("%q: then %d", way, res.StatusCode)
			}
		}
	})
	t.Run("a target of more than 8 KiB", func(t *testing.T) {
		res, body := w.do("GET", "/api/public/x?"+strings.Repeat("y", 9000))
		wantProblem(t, res, body, 414, fault.URITooLong)
	})
	t.Run("a head that is too large", func(t *testing.T) {
		res, body := w.do("GET", "/api/public/x", "X-Large: "+strings.Repeat("y", 26_000))
		wantProblem(t, res, body, 431, fault.HeadersTooLarge)
		if res, _ := w.do("GET", "/api/public/x", "X-Large: "+strings.Repeat("y", 100_000)); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a much larger one: %d", res.StatusCode)
		}
	})
	t.Run("more than 256 fields", func(t *testing.T) {
		many := make([]string, 300)
		for i := range many {
			many[i] = fmt.Sprintf("x-%d: y", i)
		}
		res, body := w.do("GET", "/api/public/x", many...)
		wantProblem(t, res, body, 431, fault.HeadersTooLarge)
		client := w.h2(t)
		client.ask(1, true, many...)
		if got := client.outcome(1); got != "431" {
			t.Errorf("in HTTP/2: %s", got)
		}
		client.ask(3, true, many[:250]...)
		if got := client.outcome(3); got != "200" {
			t.Errorf("250 of them in HTTP/2: %s", got)
		}
	})
	t.Run("an expectation that is not known", func(t *testing.T) {
		if res, _ := w.ask("POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nExpect: magic\r\n\r\n"); res.StatusCode != http.StatusExpectationFailed {
			t.Errorf("got %d", res.StatusCode)
		}
	})
}

func TestPipeline_ASpoofedHostChangesNothing(t *testing.T) {
	w := newWorld(t, nil)
	for _, host := range []string{"evil.example", "127.0.0.1", "localhost:80", "orders", "a.b:9999", "[::1]"} {
		if res, body := w.ask("GET /api/orders/x HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: evil2.example\r\nConnection: close\r\n\r\n"); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", host, res.StatusCode, body)
		}
		if res, _ := w.ask("GET /api/public/x HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: evil2.example\r\nConnection: close\r\n\r\n"); res.StatusCode == http.StatusOK {
			if got := w.last(); got.Host == host || got.Header.Get("X-Forwarded-Host") != host {
				t.Errorf("%s: upstream saw %q and %q", host, got.Host, got.Header.Get("X-Forwarded-Host"))
			}
		}
	}
}

func TestPipeline_SP18SecurityHeadersAreOnOwnAnswersAlone(t *testing.T) {
	w := newWorld(t, nil)
	own := []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"}
	res, _ := w.do("GET", "/nowhere")
	for _, name := range own {
		if res.Header.Get(name) == "" {
			t.Errorf("the gateway's own answer has no %s", name)
		}
	}
	if res.Header.Get("Server") != "" {
		t.Error("the answer tells what program this is")
	}
	w.answers(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Security-Policy", "default-src 'self'")
		rw.Header().Set("X-Request-Id", "theirs")
	})
	res, _ = w.do("GET", "/api/public/x")
	if got := res.Header["Content-Security-Policy"]; len(got) != 1 || got[0] != "default-src 'self'" || res.Header.Get("X-Frame-Options") != "" {
		t.Errorf("an upstream's answer has %v", res.Header)
	}
	if got := res.Header["X-Request-Id"]; len(got) != 1 || got[0] == "theirs" {
		t.Errorf("X-Request-Id: %v", got)
	}
	w.answers(nil)
}

func TestPipeline_SP12Loop(t *testing.T) {
	w := newWorld(t, nil)
	res, body := w.do("GET", "/api/public/x", "Via: 1.1 gatehouse-node-1")
	wantProblem(t, res, body, 502, fault.UpstreamError)
}
