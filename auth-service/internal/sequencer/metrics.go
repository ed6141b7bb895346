package sequencer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
)

// metrics are the figures of one replica's sequencer.
type metrics struct {
	failures, published, repairs, epochs, moves, refills, losses prometheus.Counter
	last, backlog                                                prometheus.Gauge
	rounds, answers                                              prometheus.Histogram
	late                                                         prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, s *Sequencer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_sequencer_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_sequencer_" + name, Help: help})
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gatehouse_sequencer_" + name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		failures:  counter("round_failures_total", "Rounds that ended with an error."),
		published: counter("published_total", "Revocations sent to the nodes."),
		repairs:   counter("repairs_total", "Requests of nodes for missing numbers."),
		epochs:    counter("epochs_total", "Epochs opened because the database had lost history."),
		moves:     counter("database_starts_total", "Epochs opened because the database was started anew, and might have lost history."),
		refills:   counter("redis_refills_total", "Times that Redis was filled anew from the database."),
		losses:    counter("stream_losses_total", "Times that the stream was found to lack what it had, and got it again."),
		late:      counter("late_answers_total", "Revoking calls answered before every live node had applied them."),
		last:      gauge("last_number", "The newest number given."),
		backlog:   gauge("backlog", "Numbers the stream has not acknowledged."),
		rounds:    histogram("round_seconds", "Duration of a round.", .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5),
		answers: histogram("answer_seconds", "Time from commit until every live node has applied, as waited for.",
			.001, .002, .003, .004, .005, .006, .007, .008, .009, .01, .0125, .015, .02, .025, .05, .1, .15, .2, .25, .5),
	}
	active := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_sequencer_active", Help: "1 if this replica is the active one."}, func() float64 {
		if s.active() {
			return 1
		}
		return 0
	})
	registry.MustRegister(m.failures, m.published, m.repairs, m.epochs, m.moves, m.refills, m.losses, m.late, m.last, m.backlog, m.rounds, m.answers, active)
	return m
}

func (m *metrics) observe(s state, took time.Duration) {
	m.last.Set(float64(s.Last))
	m.backlog.Set(float64(s.Last) - float64(min(s.Published, s.Last)))
	m.rounds.Observe(took.Seconds())
}

func (m *metrics) applied(p auth.Propagation) {
	m.answers.Observe(p.Elapsed.Seconds())
	if p.Applied < p.Nodes {
		m.late.Inc()
	}
}
