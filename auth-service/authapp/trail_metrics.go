package authapp

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth/trail"
)

// trailCollector tells how the audit trail is kept, when asked: events that wait
// for their place are not protected yet.
type trailCollector struct{ keeper *trail.Keeper }

var (
	trailWaiting = prometheus.NewDesc("gatehouse_auth_audit_waiting", "Audit events that have no place in the trail yet.", nil, nil)
	trailAge     = prometheus.NewDesc("gatehouse_auth_audit_oldest_seconds", "Age of the oldest audit event that waits for its place.", nil, nil)
	trailUnkept  = prometheus.NewDesc("gatehouse_auth_audit_unkept_seconds", "Time since the audit trail was kept last.", nil, nil)
)

// Describe names the figures.
func (trailCollector) Describe(out chan<- *prometheus.Desc) {
	out <- trailWaiting
	out <- trailAge
	out <- trailUnkept
}

// Collect looks at the trail. A database that is away leaves the figures out, and
// so does a trail that was never kept with the last one.
func (c trailCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := c.keeper.Standing(ctx)
	if err != nil {
		return
	}
	out <- prometheus.MustNewConstMetric(trailWaiting, prometheus.GaugeValue, float64(s.Waiting))
	out <- prometheus.MustNewConstMetric(trailAge, prometheus.GaugeValue, s.Age.Seconds())
	if !s.Kept.IsZero() {
		out <- prometheus.MustNewConstMetric(trailUnkept, prometheus.GaugeValue, max(0, c.keeper.Now().Sub(s.Kept).Seconds()))
	}
}
