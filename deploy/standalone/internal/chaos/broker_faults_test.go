package chaos

import (
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// brokerFaults happen to NATS.
func brokerFaults() []scenario {
	again := func(change func(w *world, i int) error) func(w *world) {
		return func(w *world) {
			w.wait(time.Second)
			w.fault("NATS starts again", fault{
				begin: each(w.Brokers, kill),
				end: together(func() error {
					for i := range w.Brokers {
						if err := change(w, i); err != nil {
							return err
						}
					}
					return nil
				}, each(w.Brokers, start)),
				last: time.Second,
			})
			w.wait(enough)
		}
	}
	apart := func(w *world, i int, breakOne func(*faultproxy.Link)) func() error {
		return func() error {
			for j, p := range w.Brokers {
				if j != i {
					breakOne(w.Link(w.Brokers[i].Name, p.Name))
					breakOne(w.Link(p.Name, w.Brokers[i].Name))
				}
			}
			return nil
		}
	}
	return []scenario{
		{name: "F1 I1 I3: NATS is down during revocations", run: func(w *world) {
			w.fault("NATS is down", fault{begin: each(w.Brokers, kill), end: each(w.Brokers, start), last: 2 * enough})
		}},
		{name: "F2 I1 I2: NATS hangs", run: func(w *world) {
			w.fault("NATS hangs", fault{begin: each(w.Brokers, pause), end: each(w.Brokers, resume), last: 2 * enough})
		}},
		{name: "F3 I1 I5: NATS starts again with empty disks", run: again(func(w *world, i int) error { return w.EmptyStore(i) })},
		{name: "F3 I1 I5: the stream is deleted and made again", run: func(w *world) {
			w.wait(time.Second)
			w.fault("the stream is deleted", fault{begin: func() error { return w.DeleteStream(w.ctx) }})
			w.wait(enough)
		}},
		{name: "F4 I1 I12: the stream is purged", run: func(w *world) {
			w.wait(time.Second)
			w.fault("the stream is purged", fault{begin: func() error { return w.PurgeStream(w.ctx) }})
			w.wait(enough)
		}},
		{name: "F4 F29 I1 I12: the stream is purged and every gateway starts anew", run: func(w *world) {
			w.wait(time.Second)
			w.fault("purged and killed", fault{
				begin: together(func() error { return w.PurgeStream(w.ctx) }, each(w.Gateways, kill)), end: each(w.Gateways, start), last: time.Second,
			})
			w.wait(enough)
		}},
		{name: "F5 I1 I3: NATS has lost what it had acknowledged, and starts again with old disks", run: func(w *world) {
			w.saveDisks()
			w.wait(enough)
			again(func(w *world, i int) error { return w.RestoreStore(i) })(w)
		}},
		{name: "F5 F29 I1 I3: likewise, and every gateway starts anew", run: func(w *world) {
			w.saveDisks()
			w.wait(enough)
			again(func(w *world, i int) error {
				if err := w.Gateways[i].Kill(); err != nil {
					return err
				}
				return together(func() error { return w.RestoreStore(i) }, w.Gateways[i].Start)()
			})(w)
		}},
		{name: "F9 I1 I3: one broker after another is killed", run: func(w *world) {
			for _, p := range w.Brokers {
				w.fault(p.Name+" is killed", fault{begin: p.Kill, end: p.Start, last: 2 * time.Second})
				w.wait(time.Second)
			}
		}},
		{name: "F9 I1 I3: most of the brokers are dead", run: func(w *world) {
			w.fault("nats-2 and nats-3 are killed", fault{begin: each(w.Brokers[1:], kill), end: each(w.Brokers[1:], start), last: enough})
		}},
		{name: "F9 I1 I3: the brokers are split", run: func(w *world) {
			for i := range w.Brokers {
				w.fault(w.Brokers[i].Name+" is apart", fault{begin: apart(w, i, swallow), end: apart(w, i, heal), last: enough})
			}
		}},
	}
}
