package gatewayapp

import (
	"context"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	// mostPercent is GOGC while little lives, as in most gateways: what dies with
	// its request is cheap to hold, and a collection costs as much as what lives.
	mostPercent = 600
	// leastPercent is GOGC of a large heap, of tokens say, of which several times
	// would be much.
	leastPercent = 200
	// garbage is how much may wait for a collection, between the two.
	garbage = 32 << 20
	// paceInterval is how often the pace is fitted to what lives.
	paceInterval = time.Second
)

// percentFor gives GOGC for a heap of which so many bytes live.
func percentFor(live uint64) int {
	return int(min(max(garbage*100/max(live, 1), leastPercent), mostPercent))
}

// pacer has garbage collected at a pace that fits what lives.
type pacer struct {
	live func() uint64 // bytes, as of the last collection
	set  func(percent int)
}

func newPacer() *pacer {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	return &pacer{
		live: func() uint64 { runtimemetrics.Read(sample); return sample[0].Value.Uint64() },
		set:  func(percent int) { debug.SetGCPercent(percent) },
	}
}

// run fits the pace until ctx ends. Small changes are left, as each stops the
// process for a moment.
func (p *pacer) run(ctx context.Context) error {
	ticker := time.NewTicker(paceInterval)
	defer ticker.Stop()
	for last := mostPercent; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if next := percentFor(p.live()); max(next-last, last-next) > last/10 {
			p.set(next)
			last = next
		}
	}
}
