package throttle

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// counts tell operators what is refused, and whether replicas count together.
type counts struct {
	refused *prometheus.CounterVec
	alone   prometheus.GaugeFunc
}

func newCounts(registry prometheus.Registerer, p *pause) (counts, error) {
	c := counts{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_auth_throttled_total", Help: "Tries refused because a bound was used up, by the kind of bound.",
		}, []string{"bound"}),
		alone: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gatehouse_auth_throttle_alone", Help: "1 while this replica counts tries without Redis.",
		}, func() float64 {
			if p.resting() {
				return 1
			}
			return 0
		}),
	}
	if registry == nil {
		return c, nil
	}
	return c, errors.Join(registry.Register(c.refused), registry.Register(c.alone))
}
