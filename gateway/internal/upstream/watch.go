package upstream

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"sync"
	"time"
)

// Probe asks a target whether it is well; nil says yes. It must respect ctx.
type Probe func(ctx context.Context, target *url.URL) error

// Health is an active health check.
type Health struct {
	Interval time.Duration
	Timeout  time.Duration // of one probe; the interval if 0
	Probe    Probe

	Unhealthy int // missed probes in a row that make a target sick; DefaultUnhealthy if 0
	Healthy   int // probes in a row that make it well again; 1 if 0

	Changed func(t *Target, err error) // told when a target turns sick (err) or well (nil); may be nil
}

// DefaultUnhealthy is how many probes in a row a target misses before it is
// called sick.
const DefaultUnhealthy = 2

// Watch probes all targets at once and then at every interval, until ctx
// ends, and returns when the last probe has ended.
func (s *Set) Watch(ctx context.Context, h Health) {
	h.Unhealthy, h.Healthy = cmp.Or(h.Unhealthy, DefaultUnhealthy), cmp.Or(h.Healthy, 1)
	timeout := h.Timeout
	if timeout <= 0 || timeout > h.Interval {
		timeout = h.Interval
	}
	ticker := time.NewTicker(h.Interval)
	defer ticker.Stop()
	for {
		s.probeAll(ctx, timeout, h)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Set) probeAll(ctx context.Context, timeout time.Duration, h Health) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var group sync.WaitGroup
	for _, t := range s.targets {
		group.Go(func() {
			err := h.Probe(ctx, t.URL)
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return // we are stopping; it says nothing of the target
			}
			if t.probed(h, err) && h.Changed != nil {
				h.Changed(t, err)
			}
		})
	}
	group.Wait()
}
