package limit

import (
	"log/slog"
	"sync"
	"time"
)

// circuit keeps requests away from a Redis that does not answer: after a
// failure nobody asks for a while, then one request tries.
type circuit struct {
	rest time.Duration
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	failed  bool
	retryAt time.Time
	probing bool
}

// enter reports whether this request may ask Redis. If so, leave or abandon
// must follow.
func (c *circuit) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failed {
		return true
	}
	if c.probing || c.now().Before(c.retryAt) {
		return false
	}
	c.probing = true
	return true
}

// leave says how asking went.
func (c *circuit) leave(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if c.probing {
			c.failed, c.probing = false, false
			c.log.Info("rate limits are shared again")
		}
		return
	}
	if !c.failed {
		c.log.Warn("rate limits are counted by this node alone", "error", err.Error())
	}
	c.failed, c.probing = true, false
	c.retryAt = c.now().Add(c.rest)
}

// abandon says that asking came to no end.
func (c *circuit) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
}

// open reports whether Redis is left alone.
func (c *circuit) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}
