package revocation

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the figures of one node's view. A nil *Metrics counts nothing.
type Metrics struct {
	propagation prometheus.Histogram
	repairs     prometheus.Counter
	degraded    *prometheus.CounterVec
	rejects     *prometheus.CounterVec
}

// NewMetrics makes the figures of a view and registers them.
func NewMetrics(registry prometheus.Registerer, view *View) *Metrics {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_revocation_" + name, Help: help}, value)
	}
	m := &Metrics{
		propagation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gatehouse_revocation_propagation_seconds", Help: "Time from a revocation's commit to its application on this node.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_revocation_repairs_total", Help: "Requests for missing numbers.",
		}),
		degraded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_revocation_degraded_checks_total", Help: "Checks made while the view was too old, by what decided them.",
		}, []string{"outcome"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_revocation_rejected_messages_total", Help: "Messages that were not trusted or not understood.",
		}, []string{"reason"}),
	}
	registry.MustRegister(m.propagation, m.repairs, m.degraded, m.rejects,
		gauge("view_age_seconds", "Age of this node's knowledge of revocations; -1 before it is first complete.", func() float64 {
			if age, known := view.Progress.Age(); known {
				return age.Seconds()
			}
			return -1
		}),
		gauge("applied_sequence", "Number up to which nothing is missing.", func() float64 { return float64(view.Progress.Position().Applied) }),
		gauge("head_sequence", "Newest number heard of.", func() float64 { return float64(view.Progress.Position().Head) }),
		gauge("behind", "Numbers heard of that are not applied.", func() float64 { return float64(view.Progress.Position().Behind()) }),
		gauge("entries", "Revocations held in memory.", func() float64 { return float64(view.Set.Len()) }))
	return m
}

func (m *Metrics) propagated(d time.Duration) {
	if m != nil {
		m.propagation.Observe(max(0, d.Seconds()))
	}
}

func (m *Metrics) repaired() {
	if m != nil {
		m.repairs.Inc()
	}
}

func (m *Metrics) degradedCheck(outcome string) {
	if m != nil {
		m.degraded.WithLabelValues(outcome).Inc()
	}
}

func (m *Metrics) reject(reason string) {
	if m != nil {
		m.rejects.WithLabelValues(reason).Inc()
	}
}
