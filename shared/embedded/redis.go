package embedded

import (
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// The clock of the keys moves on every redisTick, or less often if that would
// take more than one part in redisShare of the time.
const (
	redisTick  = 50 * time.Millisecond
	redisShare = 50
)

// Redis is a Redis server in this process. It keeps nothing over a restart.
type Redis struct {
	server *miniredis.Miniredis
	once   sync.Once
	stop   chan struct{}
	done   chan struct{}
}

// StartRedis starts a server on a free port of 127.0.0.1. Keys expire with the
// clock: to within 50 ms, or a few seconds when there are 100,000 of them.
func StartRedis() (*Redis, error) {
	r := &Redis{server: miniredis.NewMiniRedis(), stop: make(chan struct{}), done: make(chan struct{})}
	if err := r.server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	go r.tick()
	return r, nil
}

// tick moves the time to live of all keys on and so removes the expired ones
// even if nobody asks for them. The server's own ClockTTL does that work, which
// looks at every key, anew in every command.
func (r *Redis) tick() {
	defer close(r.done)
	timer := time.NewTimer(redisTick)
	defer timer.Stop()
	for last := time.Now(); ; {
		select {
		case <-r.stop:
			return
		case <-timer.C:
			now := time.Now()
			r.server.FastForward(now.Sub(last))
			last = now
			timer.Reset(max(redisTick, redisShare*time.Since(now)))
		}
	}
}

// URL is the address for clients (REDIS_URL).
func (r *Redis) URL() string { return "redis://" + r.server.Addr() + "/0" }

// Close stops the server. It may be called again.
func (r *Redis) Close() error {
	r.once.Do(func() {
		close(r.stop)
		<-r.done
		r.server.Close()
	})
	return nil
}
