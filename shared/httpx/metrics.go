package httpx

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count the requests of one service.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge

	mu    sync.RWMutex
	known map[labels]figures // which are looked up for less here
}

// labels are those of a kind of requests. There are few: routes are named by
// us, and methods and classes are bounded.
type labels struct{ method, route, class string }

// figures are what is counted of such requests.
type figures struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// newMetrics registers the metrics, or finds those that another server of the
// same service has registered. It returns nil for a nil registry.
func newMetrics(registry prometheus.Registerer, service string) *metrics {
	if registry == nil {
		return nil
	}
	constant := prometheus.Labels{"service": service}
	return &metrics{
		known: map[labels]figures{},
		requests: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_requests_total", Help: "Requests answered.", ConstLabels: constant,
		}, []string{"method", "route", "class"})),
		duration: register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_duration_seconds", Help: "Time to answer a request.", ConstLabels: constant,
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"})),
		inFlight: register(registry, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_http_requests_in_flight", Help: "Requests being answered.", ConstLabels: constant,
		})),
	}
}

// register adds a collector to the registry, or returns the one in its place.
// Any other conflict leaves the collector unregistered: it counts for nobody.
func register[C prometheus.Collector](registry prometheus.Registerer, collector C) C {
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](registry.Register(collector)); ok {
		if same, ok := known.ExistingCollector.(C); ok {
			return same
		}
	}
	return collector
}

// begin counts a request in.
func (m *metrics) begin() {
	if m != nil {
		m.inFlight.Inc()
	}
}

// done counts it out.
func (m *metrics) done(method string, rec *record, elapsed time.Duration) {
	if m == nil {
		return
	}
	m.inFlight.Dec()
	route := rec.route
	if route == "" {
		route = "none"
	}
	f := m.of(labels{knownMethod(method), route, class(rec.writer.status)})
	f.requests.Inc()
	f.duration.Observe(elapsed.Seconds())
}

func (m *metrics) of(l labels) figures {
	m.mu.RLock()
	f, known := m.known[l]
	m.mu.RUnlock()
	if known {
		return f
	}
	f = figures{m.requests.WithLabelValues(l.method, l.route, l.class), m.duration.WithLabelValues(l.route)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[l] = f
	return f
}

// class is that of a status, such as 2xx.
func class(status int) string {
	if known := [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}; status/100 < len(known) {
		return known[status/100]
	}
	return strconv.Itoa(status/100) + "xx"
}

// methods are those that are told apart.
var methods = func() map[string]string {
	all := map[string]string{}
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace,
	} {
		all[method] = method
	}
	return all
}()

// knownMethod keeps callers from inventing label values. It gives a text of our
// own: theirs is a part of the whole head, tokens among it, which would stay in
// memory for as long as the label.
func knownMethod(method string) string {
	if known, ok := methods[method]; ok {
		return known
	}
	return "other"
}
