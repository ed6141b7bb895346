package upstream

import (
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
	Changed  func(t *Target, err error) // told when a target turns sick (err) or well (nil); may be nil
}

// Watch probes all targets at once and then at every interval, until ctx
// ends, and returns when the last probe has ended.
func (s *Set) Watch(ctx context.Context, h Health) {
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
			if t.probed(err) && h.Changed != nil {
				h.Changed(t, err)
			}
		})
	}
	group.Wait()
}
