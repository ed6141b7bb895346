package httpx

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTime bounds one readiness check.
const checkTime = 2 * time.Second

// Health knows which parts a service needs to be ready. The zero value is
// ready, and safe for concurrent use.
type Health struct {
	draining atomic.Bool
	mu       sync.Mutex
	checks   []healthCheck
}

type healthCheck struct {
	name  string
	check func(context.Context) error
}

// Add has the service ready only while check succeeds.
func (h *Health) Add(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, healthCheck{name, check})
}

// Drain has the service not ready from now on, because it is about to stop.
func (h *Health) Drain() { h.draining.Store(true) }

// NotReady asks all parts at once and returns what those say that are not
// ready, by name. An empty answer means ready.
func (h *Health) NotReady(ctx context.Context) map[string]string {
	h.mu.Lock()
	checks := h.checks[:len(h.checks):len(h.checks)]
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	results := make([]error, len(checks))
	var wait sync.WaitGroup
	for i, c := range checks {
		wait.Go(func() { results[i] = c.check(ctx) })
	}
	wait.Wait()
	parts := map[string]string{}
	for i, err := range results {
		if err != nil {
			parts[checks[i].name] = err.Error()
		}
	}
	if h.draining.Load() {
		parts["process"] = "stopping"
	}
	return parts
}

// OpsHandler serves what operators and their tools ask: /livez, /readyz,
// /metrics and, if wanted, /debug/pprof. It belongs on a listener that the
// public cannot reach.
func OpsHandler(h *Health, g prometheus.Gatherer, profiling bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if parts := h.NotReady(r.Context()); len(parts) > 0 {
			writeStatus(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "parts": parts})
			return
		}
		writeStatus(w, http.StatusOK, map[string]any{"status": "ready"})
	})
	if g != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	}
	if profiling {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func writeStatus(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller who went away cannot be told
}
