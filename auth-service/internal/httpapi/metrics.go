package httpapi

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/fault"
)

// metrics count what people do. What came of it is the label kind: success, or
// the kind of the failure.
type metrics struct {
	logins    attempts
	refreshes attempts
}

// attempts counts calls by their outcome.
type attempts struct{ *prometheus.CounterVec }

func newMetrics(registry prometheus.Registerer) (metrics, error) {
	m := metrics{
		logins: attempts{prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_auth_logins_total", Help: "Sign-ins by outcome.",
		}, []string{"kind"})},
		refreshes: attempts{prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_auth_refreshes_total", Help: "Refreshes by outcome.",
		}, []string{"kind"})},
	}
	return m, errors.Join(registry.Register(m.logins), registry.Register(m.refreshes))
}

func (a attempts) count(err error) {
	kind := "success"
	if err != nil {
		kind = string(fault.KindOf(err))
	}
	a.WithLabelValues(kind).Inc()
}
