package httpx

import (
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/fault"
)

// connectionMetrics tell of what happens before a request can be read. The
// zero value tells nobody.
type connectionMetrics struct {
	refused *prometheus.CounterVec
	unread  *prometheus.CounterVec
}

func newConnectionMetrics(registry prometheus.Registerer, service string, s *Server) connectionMetrics {
	labels := prometheus.Labels{"service": service}
	register(registry, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_http_connections", Help: "Client connections that are open.", ConstLabels: labels,
	}, func() float64 { return float64(s.Connections()) }))
	if s.certificate != nil {
		register(registry, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_http_certificate_expiry_seconds", Help: "When the server's certificate expires, in seconds since 1970.", ConstLabels: labels,
		}, s.certificate.expiry))
	}
	return connectionMetrics{
		refused: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_connections_refused_total", Help: "Connections for which there was no room: in total, or for one client.", ConstLabels: labels,
		}, []string{"limit"})),
		unread: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_unreadable_requests_total", Help: "HTTP/1.1 requests refused before they could be read, by the code of the answer.", ConstLabels: labels,
		}, []string{"code"})),
	}
}

func (m *connectionMetrics) turnedAway(limit refusedFor) {
	if m.refused != nil {
		m.refused.WithLabelValues(string(limit)).Inc()
	}
}

func (m *connectionMetrics) unreadable(kind fault.Kind) {
	if m.unread != nil {
		m.unread.WithLabelValues(string(kind)).Inc()
	}
}
