package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of a retry budget, in thousandths of a retry.
const (
	oneRetry = 1000
	// minRetries are allowed in a second however few calls there are, so that
	// a quiet service has retries, too.
	minRetries = 3
	// mostRetries is how many can be saved up.
	mostRetries = 100
)

// budget bounds retries to a share of the calls, so that a service which fails
// under its load does not get a multiple of it.
type budget struct {
	share int64 // thousandths that a call brings in
	saved atomic.Int64

	mu     sync.Mutex
	filled int64 // when the minimum was last added, by the set's clock
}

func newBudget(percent int) *budget {
	b := &budget{share: int64(percent) * oneRetry / 100}
	b.saved.Store(minRetries * oneRetry)
	return b
}

// called brings in the share of a call.
func (b *budget) called() {
	if b.saved.Load() < mostRetries*oneRetry { // it may be passed a little by calls at once
		b.saved.Add(b.share)
	}
}

// spend takes a retry out of the budget, and reports whether there was one.
func (b *budget) spend(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	const second = int64(time.Second)
	if gain := min(now-b.filled, second) * minRetries * oneRetry / second; gain > 0 {
		b.filled = now
		if room := minRetries*oneRetry - b.saved.Load(); room > 0 {
			b.saved.Add(min(gain, room))
		}
	}
	if b.saved.Load() < oneRetry {
		return false
	}
	b.saved.Add(-oneRetry)
	return true
}
