package workload

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// bounds are the routes that probes use, and their max_staleness.
var bounds = []struct {
	path  string
	bound time.Duration
}{{"/chaos/2s/x", 2 * time.Second}, {"/chaos/5s/x", 5 * time.Second}, {"/chaos/30s/x", 30 * time.Second}}

// Run has the clients work until ctx ends: one for each gateway calls services
// with tokens that are alive and tokens that are not, one refreshes, and two do
// the rest. It returns when all have finished what they had begun.
func (w *Workload) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for node := range w.urls {
		group.Go(func() {
			rng := w.source(100 + uint64(node)) //nolint:gosec // small
			repeat(ctx, w.Pause, func() { w.probe(context.WithoutCancel(ctx), rng, node) })
		})
	}
	group.Go(func() {
		rng := w.source(300)
		repeat(ctx, w.Rest, func() {
			if s := w.pick(rng); s != nil {
				w.refresh(context.WithoutCancel(ctx), s, rng.IntN(len(w.urls)))
			}
		})
	})
	for client := range uint64(2) {
		group.Go(func() {
			rng := w.source(200 + client)
			repeat(ctx, w.Rest, func() { w.act(context.WithoutCancel(ctx), rng) })
		})
	}
}

// repeat does something at most once in a period, until ctx ends.
func repeat(ctx context.Context, period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// probe calls a service with a token: half of the time that of a session which
// is believed to be alive, else one of the newest, whatever has become of it.
func (w *Workload) probe(ctx context.Context, rng *rand.Rand, node int) {
	var t watched
	if s := w.pick(rng); s != nil && rng.IntN(2) == 0 {
		t, _ = s.pair()
	} else {
		w.mu.Lock()
		t = w.tokens[len(w.tokens)-1-rng.IntN(min(recent, len(w.tokens)))]
		w.mu.Unlock()
	}
	w.call(ctx, t, node, rng.IntN(len(bounds)))
}

func (w *Workload) call(ctx context.Context, t watched, node, route int) history.Op {
	o := history.Op{Kind: history.Call, Session: t.Session, Token: t.ID, Bound: bounds[route].bound}
	w.do(ctx, request{method: "GET", path: bounds[route].path, node: node, token: t.raw, timeout: callTimeout}, &o)
	w.Recorder.Add(o)
	return o
}

// Sweep tries every token that was ever given on every gateway, on the route
// with the longest bound: what is asked is who is revoked, not how soon.
func (w *Workload) Sweep(ctx context.Context) {
	w.mu.Lock()
	tokens := append([]watched(nil), w.tokens...)
	w.mu.Unlock()
	var group sync.WaitGroup
	for node := range w.urls {
		group.Go(func() {
			for _, t := range tokens {
				if ctx.Err() != nil {
					return
				}
				w.call(ctx, t, node, len(bounds)-1)
			}
		})
	}
	group.Wait()
}
