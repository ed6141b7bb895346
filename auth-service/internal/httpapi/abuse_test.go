package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/throttle"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// boundedWorld has the limits that are in force by default, counted in Redis.
func boundedWorld(t *testing.T, databaseURL string) *world {
	t.Helper()
	return newWorldOn(t, databaseURL, func(c *auth.Config, p *auth.Parts) {
		server, prefix := testenv.Redis(t)
		tries, err := throttle.New(throttle.Config{
			URL: server, Prefix: prefix, Budget: 30 * time.Second, Registry: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tries.Close() })
		c.Limits, p.Throttle = auth.DefaultLimits(), tries
	})
}

// onEachDatabase runs a test over SQLite and PostgreSQL.
func onEachDatabase(t *testing.T, run func(w *world)) {
	testenv.EachDatabase(t, func(t *testing.T, url string) { run(boundedWorld(t, url)) })
}

func fromAddress(address string) option { return header("X-Forwarded-For", address) }

const wrongPassword = "wrong wrong wrong 1"

func (w *world) guess(email string, options ...option) answer {
	w.t.Helper()
	return w.call("POST", "/auth/login", fields{"email": email, "password": wrongPassword}, options...)
}

func TestAPI_SW5_guesses_are_bounded_and_nobody_is_locked_out(t *testing.T) {
	onEachDatabase(t, func(w *world) {
		t := w.t
		w.register(ada)
		kept := w.login(ada, password)
		if kept := decoded[struct {
			Device string `json:"device_token"`
		}](w.call("POST", "/auth/login", fields{"email": ada, "password": password}).want(200)); kept.Device == "" {
			t.Fatal("no device token")
		}
		asCookie := w.call("POST", "/auth/login", fields{"email": ada, "password": password}, header("X-Token-Transport", "cookie")).want(200)
		cookie := asCookie.setCookies()[contract.CookieDevice]
		if cookie == nil || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/auth" {
			t.Fatalf("device cookie %v", asCookie.header.Values("Set-Cookie"))
		}
		if strings.Contains(string(asCookie.body), "device_token") {
			t.Error("the device token is in the body as well")
		}
		for range 10 {
			w.guess(ada, fromAddress("2001:db8::1")).wantProblem(401, "invalid_credentials")
		}
		refused := w.guess(ada, fromAddress("2001:db8::ffff:1")).wantProblem(429, "rate_limited") // the same /64
		if refused.header.Get("Retry-After") == "" || refused.header.Get("Retry-After") == "0" {
			t.Errorf("Retry-After %q", refused.header.Get("Retry-After"))
		}
		w.guess(ada, fromAddress("2001:db8:0:1::1")).wantProblem(401, "invalid_credentials") // another one
		right := fields{"email": ada, "password": password}
		w.call("POST", "/auth/login", right, fromAddress("2001:db8::2")).wantProblem(429, "rate_limited")
		w.call("POST", "/auth/login", right, fromAddress("2001:db8::2"), header("Cookie", cookie.Name+"="+cookie.Value)).want(200)
		w.call("POST", "/auth/login", right, fromAddress("2001:db8::2"), header(contract.HeaderDeviceToken, cookie.Value)).want(200)
		w.call("GET", "/auth/me", nil, bearer(kept.AccessToken)).want(200) // no session suffers
	})
}

func TestAPI_SW6_one_answer_for_every_account(t *testing.T) {
	w := boundedWorld(t, testenv.SQLite(t))
	w.register(ada)
	w.register("locked@example.com")
	w.call("POST", "/auth/register", fields{"email": "unverified@example.com", "password": password}).want(202)
	id := w.login("locked@example.com", password).User.ID
	w.call("POST", "/admin/users/"+id+"/lock", nil, bearer(w.admin().AccessToken)).want(204)
	var first answer
	for i, c := range []struct{ email, password string }{
		{ada, wrongPassword}, {"unknown@example.com", wrongPassword}, {"locked@example.com", wrongPassword},
		{"unverified@example.com", wrongPassword}, {ada, ""}, {"unknown@example.com", ""}, {"locked@example.com", ""},
		{"not an address", wrongPassword}, {ada, "\x00"}, {ada, strings.Repeat("x", 20_000)},
	} {
		a := w.call("POST", "/auth/login", fields{"email": c.email, "password": c.password}, fromAddress(fmt.Sprintf("198.51.100.%d", i))).
			wantProblem(401, "invalid_credentials")
		if i == 0 {
			first = a
		}
		if withoutID(a.body) != withoutID(first.body) || len(a.body) != len(first.body) || len(a.header) != len(first.header) {
			t.Errorf("%s with %.10q: %s %v, and for a known account %s %v", c.email, c.password, a.body, a.header, first.body, first.header)
		}
	}
	for i := range 12 {
		known, unknown := w.guess(ada, fromAddress("203.0.113.1")), w.guess("nobody@example.com", fromAddress("203.0.113.1"))
		if known.status != unknown.status {
			t.Errorf("guess %d: %d for a known account, %d for an unknown one", i+1, known.status, unknown.status)
		}
	}
}

func TestAPI_SW5_many_guesses_at_once_count_each(t *testing.T) {
	onEachDatabase(t, func(w *world) {
		w.register(ada)
		var answered, refused atomic.Int32
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				switch a := w.guess(ada, fromAddress("203.0.113.9")); a.status {
				case 401:
					answered.Add(1)
				case 429:
					refused.Add(1)
				default:
					w.t.Errorf("status %d: %s", a.status, a.body)
				}
			})
		}
		wg.Wait()
		if answered.Load() != 10 || refused.Load() != 20 {
			w.t.Errorf("%d were answered and %d refused, want 10 and 20", answered.Load(), refused.Load())
		}
	})
}

func TestAPI_attempts_are_shown_to_administrators_and_cleared(t *testing.T) {
	w := boundedWorld(t, testenv.SQLite(t))
	w.register(ada)
	id := w.login(ada, password).User.ID
	for range 11 {
		w.guess(ada, fromAddress("203.0.113.5"))
	}
	admin := w.admin().AccessToken
	type known struct {
		Bounds []struct {
			Bound         string
			Limit, Used   int
			PeriodSeconds int `json:"period_seconds"`
		}
		Failures []struct{ Reason, IP string }
	}
	got := decoded[known](w.call("GET", "/admin/attempts?user="+id+"&ip=203.0.113.5", nil, bearer(admin)).want(200))
	if len(got.Bounds) != 4 || got.Bounds[0].Bound != "account" || got.Bounds[0].Used != 10 || got.Bounds[0].Limit != 100 || got.Bounds[0].PeriodSeconds != 86400 {
		t.Errorf("bounds %+v", got.Bounds)
	}
	if len(got.Failures) != 10 || got.Failures[0].Reason != "wrong_password" || got.Failures[0].IP != "203.0.113.5" {
		t.Errorf("failures %+v", got.Failures)
	}
	w.call("DELETE", "/admin/attempts?user="+id+"&ip=203.0.113.5", nil, bearer(admin)).want(204)
	w.guess(ada, fromAddress("203.0.113.5")).wantProblem(401, "invalid_credentials")
	w.call("GET", "/admin/attempts", nil, bearer(admin)).wantProblem(422, "validation_failed")
	w.call("GET", "/admin/attempts?ip=nowhere", nil, bearer(admin)).wantProblem(422, "validation_failed")
	w.call("GET", "/admin/attempts?user="+someID, nil, bearer(admin)).wantProblem(404, "not_found")
	w.call("GET", "/admin/attempts?ip=203.0.113.5", nil, bearer(w.login(ada, password).AccessToken)).wantProblem(403, "insufficient_role")
}
