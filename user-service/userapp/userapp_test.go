package userapp

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// world is what the service needs around it.
type world struct {
	t      *testing.T
	issuer *tokentest.Issuer
	bus    *bus.Bus
	cfg    Config
}

func newWorld(t *testing.T, databaseURL string) *world {
	t.Helper()
	url, prefix := testenv.NATS(t)
	w := &world{t: t, issuer: tokentest.New(t, token.AlgEdDSA)}
	keys := httptest.NewServer(w.issuer)
	t.Cleanup(keys.Close)
	w.cfg = Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", AuthURL: []string{keys.URL}, Issuer: tokentest.IssuerURL, Audience: tokentest.Audience,
		DatabaseURL: databaseURL, NATS: bus.Config{URL: url, Prefix: prefix},
	}
	var err error
	if w.bus, err = bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "auth-service"}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	w.until("the broker is there", func() bool { return w.bus.Ready(t.Context()) == nil })
	return w
}

// makeStream does what an auth-service does when it starts.
func (w *world) makeStream() {
	w.t.Helper()
	s := w.bus.Subjects()
	if err := w.bus.EnsureStream(w.t.Context(), bus.Stream{Name: s.AccountStream(), Subjects: []string{s.Accounts()}}); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for a condition, and fails the test when it does not come true.
func (w *world) until(what string, met func() bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	for !met() {
		select {
		case <-deadline:
			w.t.Fatalf("in vain: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// start runs the service until the returned function is called.
func (w *world) start() (app *App, stop func()) {
	w.t.Helper()
	app, err := New(w.t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	w.t.Cleanup(stop)
	return app, stop
}

// get returns the status and body of a page.
func (w *world) get(url, accessToken string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if accessToken != "" {
		req.Header.Set("Authorization", "Bearer "+accessToken)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// ready waits until the service says that it is ready.
func (w *world) ready(app *App) {
	w.t.Helper()
	w.until("the service is ready", func() bool { status, _ := w.get("http://"+app.OpsAddr()+"/readyz", ""); return status == 200 })
}

// register sends what an auth-service sends for a new account.
func (w *world) register(id string) {
	w.t.Helper()
	e := contract.Event{
		SpecVersion: "1.0", ID: "0190a000-0000-7000-8000-000000000fff", Source: "auth-service", Type: contract.AccountRegistered, Subject: id, Time: time.Now(),
		Data: contract.Account{ID: id, Version: 1, Email: "ada@example.com", Roles: []string{"user"}, Status: contract.StatusActive, FirstName: "Ada", CreatedAt: time.Now()},
	}
	data, err := json.Marshal(e)
	if err == nil {
		err = w.bus.Store(w.t.Context(), w.bus.Subjects().Account(e.Type), e.ID, data)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestApp(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		began := time.Now()
		app, stop := w.start()
		t.Logf("New took %v", time.Since(began))
		base, ops := "http://"+app.Addr(), "http://"+app.OpsAddr()
		if status, body := w.get(ops+"/readyz", ""); status != 503 || !strings.Contains(body, "stream of account events") {
			t.Errorf("readyz without a stream: %d %s", status, body)
		}
		w.makeStream()
		w.ready(app)

		claims := tokentest.Claims(time.Now())
		accessToken := w.issuer.Token(claims)
		w.register(claims.Subject) // and at once, without waiting for the event:
		if status, body := w.get(base+"/users/me", accessToken); status != 200 || !strings.Contains(body, `"first_name":"Ada"`) {
			t.Errorf("profile: %d %s", status, body)
		}
		claims.Roles = []string{"admin"}
		if status, body := w.get(base+"/admin/users?query=ada@", w.issuer.Token(claims)); status != 200 || !strings.Contains(body, claims.Subject) {
			t.Errorf("list: %d %s", status, body)
		}
		if status, body := w.get(ops+"/metrics", ""); status != 200 || !strings.Contains(body, "go_goroutines") {
			t.Errorf("metrics: %d %.200s", status, body)
		}
		stop()

		t.Run("a second start finds everything again", func(t *testing.T) {
			app, _ := w.start()
			w.ready(app)
			if status, body := w.get("http://"+app.Addr()+"/users/me", accessToken); status != 200 {
				t.Errorf("profile: %d %s", status, body)
			}
		})
		t.Run("a new database is filled from the stream", func(t *testing.T) {
			w.cfg.DatabaseURL = testenv.SQLite(t)
			app, _ := w.start()
			w.ready(app)
			if status, body := w.get("http://"+app.Addr()+"/users/me", accessToken); status != 200 {
				t.Errorf("profile: %d %s", status, body)
			}
		})
	})
}

func TestNew_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, spoil := range map[string]func(*Config){
		"settings that cannot work":  func(c *Config) { *c = Config{} },
		"a taken address":            func(c *Config) { c.Addr = taken.Addr().String() },
		"a taken address for ops":    func(c *Config) { c.OpsAddr = taken.Addr().String() },
		"a database that cannot be":  func(c *Config) { c.DatabaseURL = "sqlite:/dev/null/x" },
		"a broker that cannot be":    func(c *Config) { c.NATS.URL = "http://%zz" },
		"credentials not to be read": func(c *Config) { c.NATS.Creds = "/nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testenv.SQLite(t))
			spoil(&w.cfg)
			if app, err := New(t.Context(), w.cfg, slog.New(slog.DiscardHandler)); err == nil {
				t.Errorf("it was accepted at %s", app.Addr())
			}
		})
	}
	t.Run("a database that is away, for as long as it is told to wait", func(t *testing.T) {
		w := newWorld(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := New(ctx, w.cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("it was accepted")
		}
	})
}
