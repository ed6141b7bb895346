package gatewayapp

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/shared/revocation"
)

// newLive makes what ends long answers. While the view is young, memory alone
// decides about them, as about requests.
func newLive(checker *revocation.Checker, m *metrics) *live.Registry {
	return live.New(live.Options{
		Revocations: checker,
		Fresh: func(maxStaleness time.Duration) bool {
			age, known := checker.View.Progress.Age()
			return known && age <= min(revocation.SoftLimit, maxStaleness)
		},
		Now:   time.Now,
		Ended: func(kind live.Kind, cause live.Cause) { m.ended.WithLabelValues(kind.String(), string(cause)).Inc() },
	})
}

// longAnswers exports how many long answers are under way.
func longAnswers(r *live.Registry) []prometheus.Collector {
	var all []prometheus.Collector
	for _, kind := range live.Kinds() {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_gateway_long_answers", Help: "Long answers under way: WebSockets, event streams, and all else that has lasted for half a second.",
			ConstLabels: prometheus.Labels{"kind": kind.String()},
		}, func() float64 { return float64(r.Count(kind)) }))
	}
	return all
}
