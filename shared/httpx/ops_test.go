package httpx_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/httpx"
)

func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w
}

func TestOpsHandler_readiness_names_the_parts_that_are_not_ready(t *testing.T) {
	var health httpx.Health
	h := httpx.OpsHandler(&health, nil, false)
	away := errors.New("connection refused")
	health.Add("database", func(context.Context) error { return nil })
	health.Add("nats", func(context.Context) error { return away })
	for _, c := range []struct {
		name   string
		change func()
		status int
		body   map[string]any
	}{
		{"one part is away", func() {}, 503, map[string]any{"status": "not ready", "parts": map[string]any{"nats": "connection refused"}}},
		{"all are there", func() { away = nil }, 200, map[string]any{"status": "ready"}},
		{"the process stops", health.Drain, 503, map[string]any{"status": "not ready", "parts": map[string]any{"process": "stopping"}}},
	} {
		c.change()
		w := ask(h, "GET", "/readyz")
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.body, body); diff != "" || w.Code != c.status {
			t.Errorf("%s: %d (-want +got):\n%s", c.name, w.Code, diff)
		}
		if w := ask(h, "GET", "/livez"); w.Code != http.StatusOK {
			t.Errorf("%s: livez says %d; a process that waits for others is alive", c.name, w.Code)
		}
	}
}

func TestHealth_a_check_that_hangs_is_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var health httpx.Health
		for _, name := range []string{"a", "b"} {
			health.Add(name, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
		}
		start := time.Now()
		if got := len(health.NotReady(t.Context())); got != 2 {
			t.Errorf("%d parts are not ready", got)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("it took %v: checks must run side by side and end after 2s", got)
		}
	})
}

func TestOpsHandler_metrics_and_profiles(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_test", Help: "x"}))
	full, bare := httpx.OpsHandler(new(httpx.Health), registry, true), httpx.OpsHandler(new(httpx.Health), nil, false)
	for _, c := range []struct {
		h            http.Handler
		method, path string
		status       int
		holds        string
	}{
		{full, "GET", "/metrics", 200, "gatehouse_test 0"},
		{full, "GET", "/debug/pprof/", 200, "goroutine"},
		{full, "GET", "/debug/pprof/cmdline", 200, ""},
		{bare, "GET", "/metrics", 404, ""},
		{bare, "GET", "/debug/pprof/", 404, ""},
		{bare, "POST", "/readyz", 405, ""},
	} {
		if w := ask(c.h, c.method, c.path); w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

func TestLog(t *testing.T) {
	var out strings.Builder
	httpx.Log(&out, "nonsense").Debug("hidden")
	httpx.Log(&out, "warn").Info("hidden")
	if out.Len() > 0 {
		t.Errorf("levels are not kept: %s", out.String())
	}
	httpx.Log(&out, "DEBUG").Debug("shown", "password", "hunter2", "Authorization", "Bearer hunter2", "email", "ann@example.com", "at", time.Unix(0, 0))
	var got map[string]any
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if at, _ := got["time"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("the time %s is not in UTC", at)
	}
	hasFields(t, got, map[string]any{"msg": "shown", "level": "DEBUG", "at": "1970-01-01T00:00:00Z"})
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "ann@") {
		t.Errorf("S-T17 there are secrets in %s", out.String())
	}
}
