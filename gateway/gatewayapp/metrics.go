package gatewayapp

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/fault"
)

// metrics are the gateway's own figures. Requests by route and status are
// counted by shared/httpx, the view's by shared/revocation.
type metrics struct {
	refusals *prometheus.CounterVec
	limited  *prometheus.CounterVec
	upstream *prometheus.HistogramVec
	failures *prometheus.CounterVec
	retries  *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	ended    *prometheus.CounterVec

	good       atomic.Uint64 // tokens
	signatures atomic.Uint64 // checked
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_refusals_total", Help: "Requests the gateway answered with a problem document, by its code.",
		}, []string{"route", "code"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_rate_limited_total", Help: "Requests over a rate limit.",
		}, []string{"route", "by"}),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_gateway_upstream_seconds", Help: "Time until an upstream began its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"upstream", "class"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_upstream_failures_total", Help: "Calls to which an upstream gave no answer.",
		}, []string{"upstream"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_upstream_retries_total", Help: "Calls made again because the one before had failed.",
		}, []string{"upstream"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_lookup_failures_total", Help: "Names of targets that could not be looked up; the addresses known before stay in use.",
		}, []string{"upstream"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_long_answers_ended_total",
			Help: "Long answers that have ended: by themselves or an end of theirs (ended), or by the gateway for the given cause.",
		}, []string{"kind", "cause"}),
	}
	registry.MustRegister(m.refusals, m.limited, m.upstream, m.failures, m.retries, m.lookups, m.ended,
		counter("gatehouse_gateway_tokens_good_total", "Access tokens found good.", &m.good),
		counter("gatehouse_gateway_signature_checks_total", "Signatures checked; the other good tokens were found in the cache.", &m.signatures))
	return m
}

func counter(name, help string, n *atomic.Uint64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n.Load()) })
}

// attempts gives what is told of every attempt to call an upstream; status is 0
// if there was no answer. Its figures are looked up once.
func (m *metrics) attempts(upstream string) func(status int, took time.Duration) {
	failures := m.failures.WithLabelValues(upstream)
	var classes [10]func() prometheus.Observer
	for i := range classes {
		classes[i] = sync.OnceValue(func() prometheus.Observer { return m.upstream.WithLabelValues(upstream, strconv.Itoa(i)+"xx") })
	}
	return func(status int, took time.Duration) {
		if status == 0 {
			failures.Inc()
			return
		}
		classes[status/100%10]().Observe(took.Seconds())
	}
}

// retried is told of every call that is made again.
func (m *metrics) retried(upstream string) { m.retries.WithLabelValues(upstream).Inc() }

// lookupFailed is told of every look-up of a target's name that fails.
func (m *metrics) lookupFailed(upstream string) { m.lookups.WithLabelValues(upstream).Inc() }

func (m *metrics) refused(route string, kind fault.Kind) {
	m.refusals.WithLabelValues(route, string(kind)).Inc()
}

// targetStates exports how the targets of the upstreams fare. They come and go
// with the route files, so they are looked up at every scrape.
type targetStates struct {
	backends                *backends
	healthy, inFlight, open *prometheus.Desc
}

func newTargetStates(b *backends) *targetStates {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("gatehouse_gateway_target_"+name, help, []string{"upstream", "target"}, nil)
	}
	return &targetStates{
		backends: b,
		healthy:  desc("healthy", "1 if the target is fit to get requests."),
		inFlight: desc("in_flight", "Calls under way."),
		open: prometheus.NewDesc("gatehouse_gateway_upstream_breaker_open",
			"1 while the breaker of the upstream keeps calls back.", []string{"upstream"}, nil),
	}
}

// Describe sends the descriptions of what Collect sends.
func (t *targetStates) Describe(out chan<- *prometheus.Desc) {
	out <- t.healthy
	out <- t.inFlight
	out <- t.open
}

// Collect sends the present figures.
func (t *targetStates) Collect(out chan<- prometheus.Metric) {
	for name, is := range t.backends.open() {
		value := 0.0
		if is {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(t.open, prometheus.GaugeValue, value, name)
	}
	for name, states := range t.backends.states() {
		seen := map[string]bool{}
		for _, s := range states {
			if seen[s.URL] { // the same target may be listed twice
				continue
			}
			seen[s.URL] = true
			healthy := 0.0
			if s.Healthy && !s.Ejected {
				healthy = 1
			}
			out <- prometheus.MustNewConstMetric(t.healthy, prometheus.GaugeValue, healthy, name, s.URL)
			out <- prometheus.MustNewConstMetric(t.inFlight, prometheus.GaugeValue, float64(s.InFlight), name, s.URL)
		}
	}
}
