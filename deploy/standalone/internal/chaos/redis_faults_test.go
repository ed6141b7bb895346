package chaos

import (
	"fmt"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// redisFaults happen to Redis, most of them while a gateway hangs on it.
func redisFaults() []scenario {
	// dependent has gateway-1 cut off from NATS meanwhile.
	dependent := func(body func(w *world)) func(w *world) {
		return func(w *world) {
			over := w.recorder.Begin("gateway-1 is cut off from NATS")
			w.must(w.links("gateway-1", w.brokerNames(), cut)())
			w.wait(2 * time.Second)
			body(w)
			w.must(w.links("gateway-1", w.brokerNames(), heal)())
			over()
		}
	}
	needProcess := func(body func(w *world)) func(w *world) {
		return func(w *world) {
			w.needRedis()
			body(w)
		}
	}
	return []scenario{
		{name: "F18 I1 I6 I9: Redis is down", run: needProcess(func(w *world) {
			w.fault("redis is killed", fault{begin: w.Redis.Kill, end: w.Redis.Start, last: enough})
		})},
		{name: "F19 I1 I5: Redis is flushed while a gateway hangs on it", run: dependent(func(w *world) {
			w.fault("redis is flushed", fault{begin: func() error { return w.FlushRedis(w.ctx) }, last: 2 * time.Second})
		})},
		{name: "F20 I1 I5: Redis starts again with nothing while a gateway hangs on it", run: needProcess(dependent(func(w *world) {
			w.fault("redis starts again", fault{begin: together(w.Redis.Kill, w.Redis.Start), last: enough})
		}))},
		{name: "F22 I1 I2 I9: Redis hangs while a gateway hangs on it", run: needProcess(dependent(func(w *world) {
			w.fault("redis is stopped", fault{begin: w.Redis.Pause, end: w.Redis.Resume, blind: []int{0}, last: enough})
		}))},
		{name: "F22 I1 I9: Redis is a second away", run: func(w *world) {
			slow := func(l *faultproxy.Link) { l.Delay(time.Second, 0) }
			w.fault("redis is slow", fault{
				begin: together(w.links("gateway-1", []string{"redis"}, slow), w.links("auth-1", []string{"redis"}, slow)),
				end:   together(w.links("gateway-1", []string{"redis"}, heal), w.links("auth-1", []string{"redis"}, heal)), last: enough,
			})
		}},
		{name: "F41 I1 I8: somebody writes heads and proofs of his own into Redis", run: dependent(func(w *world) {
			for _, command := range []string{
				"HSET %s:rev:head epoch 99 last 1000000", "HSET %s:rev:head last x", "SET %s:rev:proof forged", "DEL %s:rev:head", "DEL %s:rev:proof",
			} {
				w.fault("forged keys in redis", fault{begin: func() error {
					_, err := w.AskRedis(w.ctx, fmt.Sprintf(command, cluster.Prefix))
					return err
				}, last: time.Second})
			}
		})},
	}
}
