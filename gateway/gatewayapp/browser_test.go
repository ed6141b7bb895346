package gatewayapp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func TestPipeline_CORS(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example.com"} })
	t.Run("a preflight of a listed origin is granted", func(t *testing.T) {
		res, _ := w.do("OPTIONS", "/api/orders/x", "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, content-type")
		want := map[string]string{
			"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Headers": "authorization, content-type", "Access-Control-Max-Age": "600",
		}
		for name, value := range want {
			if res.Header.Get(name) != value {
				t.Errorf("%s is %q", name, res.Header.Get(name))
			}
		}
		if res.StatusCode != http.StatusNoContent || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") || !strings.Contains(strings.Join(res.Header["Vary"], ","), "Origin") {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("S-C5 nobody else learns anything", func(t *testing.T) {
		for _, origin := range []string{"https://evil.example", "null", "*", "https://app.example.com.evil.example", "http://app.example.com", "https://APP.example.com", "https://app.example.com:8443"} {
			for _, method := range []string{"OPTIONS", "GET"} {
				res, _ := w.do(method, "/api/public/x", "Origin: "+origin, "Access-Control-Request-Method: POST")
				for name := range res.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s from %s: %s", method, origin, name)
					}
				}
			}
		}
	})
	t.Run("refusals and upstreams' answers can be read by listed origins", func(t *testing.T) {
		w.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Access-Control-Allow-Origin", "*") })
		defer w.answers(nil)
		for _, path := range []string{"/api/orders/x", "/api/public/x", "/nowhere"} {
			res, _ := w.do("GET", path, "Origin: https://app.example.com")
			if got := res.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://app.example.com" {
				t.Errorf("%s: %v", path, got)
			}
		}
		res, _ := w.do("GET", "/api/public/x", "Origin: https://evil.example")
		if got := res.Header["Access-Control-Allow-Origin"]; got != nil {
			t.Errorf("an upstream opened itself to %v", got)
		}
	})
	t.Run("fields that are no fields are not sent back", func(t *testing.T) {
		for _, asked := range []string{"a\"b", strings.Repeat("x", 2000), "<script>"} {
			res, _ := w.do("OPTIONS", "/api/orders/x", "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+asked)
			if res.Header.Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("%.20q was granted", asked)
			}
		}
	})
}

func TestPipeline_SP10Methods(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		request string
		status  int
		allow   string
	}{
		{"OPTIONS /api/read/x", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS *", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"OPTIONS /nowhere", 404, ""},
		{"POST /api/read/x", 405, "GET, HEAD, OPTIONS"},
		{"GET /auth/login", 405, "POST, OPTIONS"},
		{"TRACE /api/public/x", 400, ""},
		{"TRACE /nowhere", 400, ""},
		{"get /api/public/x", 400, ""},
		{"PROPFIND /api/public/x", 400, ""},
		{strings.Repeat("GET", 1000) + " /api/public/x", 400, ""},
		{"CONNECT evil.example:443", 400, ""},
		{"CONNECT /api/public/x", 400, ""},
		{"HEAD /api/read/x", 200, ""},
	} {
		before := len(w.requests())
		_, in := w.raw(c.request + " HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(in, &http.Request{Method: strings.Fields(c.request)[0]})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s: %d, Allow %q", c.request, res.StatusCode, res.Header.Get("Allow"))
		}
		if reached := len(w.requests()) != before; reached != (c.status == 200) {
			t.Errorf("%s: reached an upstream: %v", c.request, reached)
		}
	}
}

func TestPipeline_RateLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CredentialLimit = 2 })
	t.Run("by address; a rotating X-Forwarded-For does not help", func(t *testing.T) {
		for i := range 5 {
			res, body := w.do("GET", "/api/limited/x", fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i), fmt.Sprintf("X-Real-IP: 203.0.113.%d", i), fmt.Sprintf("Forwarded: for=203.0.113.%d", i))
			if res.Header.Get("RateLimit-Limit") != "3" {
				t.Errorf("RateLimit-Limit is %q", res.Header.Get("RateLimit-Limit"))
			}
			if i < 3 {
				if res.StatusCode != http.StatusOK {
					t.Errorf("request %d: %d", i, res.StatusCode)
				}
				continue
			}
			wantProblem(t, res, body, 429, fault.RateLimited)
			if res.Header.Get("Retry-After") == "" || res.Header.Get("RateLimit-Remaining") != "0" {
				t.Errorf("headers %v", res.Header)
			}
		}
	})
	t.Run("by user, from any address, whatever the token", func(t *testing.T) {
		for i := range 5 {
			raw := w.token(func(c *contract.Claims) { c.TokenID = fmt.Sprintf("01890a5d-ac96-774b-bcce-00000000000%d", i) })
			res, _ := w.do("GET", "/api/limited-user/x", bearer+raw)
			if want := map[bool]int{true: 200, false: 429}[i < 3]; res.StatusCode != want {
				t.Errorf("request %d: %d", i, res.StatusCode)
			}
		}
		other := w.token(func(c *contract.Claims) { c.Subject = "01890a5d-ac96-774b-bcce-0000000000ff" })
		if res, _ := w.do("GET", "/api/limited-user/x", bearer+other); res.StatusCode != http.StatusOK {
			t.Errorf("somebody else: %d", res.StatusCode)
		}
	})
	t.Run("the credential endpoints", func(t *testing.T) {
		var statuses []int
		for range 3 {
			res, _ := w.do("POST", "/auth/login")
			statuses = append(statuses, res.StatusCode)
		}
		if fmt.Sprint(statuses) != "[200 200 429]" {
			t.Errorf("got %v", statuses)
		}
	})
}
