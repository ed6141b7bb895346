package chaos

import (
	"math/rand/v2"
	"time"
)

// authFaults happen to the auth-services and the sequencers in them.
func authFaults() []scenario {
	return []scenario{
		{name: "F25 F27 I1 I3: auth-services are killed and stopped, one after another", short: true, run: func(w *world) {
			w.fault("auth-1 is killed", fault{begin: w.Auths[0].Kill, end: w.Auths[0].Start, last: 2 * time.Second})
			w.fault("auth-2 is stopped", fault{begin: w.Auths[1].Pause, end: w.Auths[1].Resume, last: 2 * time.Second})
		}},
		{name: "F25 I3 I4: auth-services are killed again and again, at any step", run: func(w *world) {
			rng := rand.New(rand.NewPCG(25, 1)) //nolint:gosec // repeatable, not secret
			for range 8 {
				p := w.Auths[rng.IntN(2)]
				w.fault(p.Name+" is killed", fault{begin: p.Kill, end: p.Start, last: 300 * time.Millisecond})
				w.wait(time.Duration(rng.IntN(1200)) * time.Millisecond)
			}
		}},
		{name: "F27 I1 I3 I4: each sequencer sleeps past its turn and wakes beside the other", run: func(w *world) {
			for range 2 {
				for _, p := range w.Auths {
					w.fault(p.Name+" is stopped", fault{begin: p.Pause, end: p.Resume, last: 2500 * time.Millisecond})
				}
			}
		}},
		{name: "F27 I1 I3: the sequencers do not hear each other", run: func(w *world) {
			w.fault("auth-1 can send and not receive", fault{
				begin: w.links("auth-1", w.brokerNames(), deafen), end: w.links("auth-1", w.brokerNames(), heal), last: 2 * enough,
			})
		}},
		{name: "F45 I2: no auth-service runs", run: func(w *world) {
			w.fault("all auth-services are killed", fault{begin: each(w.Auths, kill), end: each(w.Auths, start), blind: everybody, last: enough})
		}},
		{name: "F2 F45 I2: all auth-services hang", run: func(w *world) {
			w.fault("all auth-services are stopped", fault{begin: each(w.Auths, pause), end: each(w.Auths, resume), blind: everybody, last: enough})
		}},
		{name: "F31 I1 I4 I6: every service starts again, one after another", run: func(w *world) {
			for _, p := range append(append(append(w.Auths[:0:0], w.Auths...), w.Gateways...), w.Users) {
				w.fault(p.Name+" starts again", fault{begin: together(p.Stop, p.Start), last: time.Second})
			}
		}},
		{name: "F35 F36 I6 I10: refreshes race with everything that revokes", short: true, run: func(w *world) {
			rng := rand.New(rand.NewPCG(35, 1)) //nolint:gosec // repeatable, not secret
			for range 8 {
				w.clients.Race(w.ctx, rng)
			}
		}},
		{name: "F35 F36 I6 I10: likewise while an auth-service is killed", run: func(w *world) {
			rng := rand.New(rand.NewPCG(36, 1)) //nolint:gosec // repeatable, not secret
			for range 5 {
				w.fault("auth-1 is killed", fault{begin: w.Auths[0].Kill, end: w.Auths[0].Start})
				w.clients.Race(w.ctx, rng)
				w.clients.Race(w.ctx, rng)
			}
		}},
		{name: "F34 I1 I5 I6 I13: a signing key is revoked in an emergency", short: true, after: ended(4401), run: func(w *world) {
			w.must(w.clients.RevokeKey(w.ctx, 0))
			w.must(w.clients.SignInEverywhere(w.ctx))
			w.wait(time.Second)
		}},
		{name: "F34 F8 I1 I2 I5: likewise while gateways are cut off from NATS, or deaf, and an auth-service is stopped", run: func(w *world) {
			end := together(w.links("gateway-1", w.brokerNames(), heal), w.links("gateway-2", append(w.brokerNames(), "redis"), heal), w.Auths[1].Resume)
			w.fault("gateways are cut off and deaf, auth-2 is stopped", fault{
				begin: together(w.links("gateway-1", w.brokerNames(), cut), w.links("gateway-2", append(w.brokerNames(), "redis"), deafen), w.Auths[1].Pause,
					func() error { return w.emergency(2) }),
				end: end, last: enough,
			})
			w.wait(enough)
			w.must(w.clients.SignInEverywhere(w.ctx))
		}},
		{name: "F34 F1 F25 I1 I5: likewise while NATS is down, and the auth-services are killed", run: func(w *world) {
			w.fault("NATS is down", fault{begin: together(each(w.Brokers, kill), func() error { return w.emergency(0) }), end: each(w.Brokers, start), last: enough})
			w.fault("auth-1 is killed", fault{begin: together(func() error { return w.emergency(1) }, w.Auths[0].Kill), end: w.Auths[0].Start, last: time.Second})
			w.wait(enough)
			w.must(w.clients.SignInEverywhere(w.ctx))
		}},
		{name: "F34 I6: the signing key changes while a gateway cannot reach the auth-services", run: func(w *world) {
			auths := []string{"auth-1", "auth-2"}
			w.fault("gateway-1 is cut off from the auth-services", fault{
				begin: together(w.links("gateway-1", auths, cut), func() error { return w.clients.RotateKey(w.ctx, 1) }),
				end:   w.links("gateway-1", auths, heal), last: enough,
			})
		}},
	}
}

// emergency revokes the signing key through a gateway, until that is answered:
// other parts are broken, and a client would try again.
func (w *world) emergency(node int) error {
	var err error
	for range 5 {
		if err = w.clients.RevokeKey(w.ctx, node); err == nil {
			return nil
		}
	}
	return err
}
