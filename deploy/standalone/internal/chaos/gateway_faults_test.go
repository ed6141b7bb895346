package chaos

import (
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// gatewayFaults happen to gateways and to what connects them.
func gatewayFaults() []scenario {
	cutOff := func(breakOne func(*faultproxy.Link), to ...string) func(w *world) {
		return func(w *world) {
			if len(to) == 0 {
				to = w.brokerNames()
			}
			w.fault("gateway-1 is cut off", fault{begin: w.links("gateway-1", to, breakOne), end: w.links("gateway-1", to, heal), last: enough})
		}
	}
	blind := func(breakOne func(*faultproxy.Link)) func(w *world) {
		return func(w *world) {
			all := append(w.brokerNames(), "redis")
			w.fault("gateway-1 is cut off from NATS and Redis", fault{
				begin: w.links("gateway-1", all, breakOne), end: w.links("gateway-1", all, heal), blind: []int{0}, last: enough,
			})
		}
	}
	return []scenario{
		{name: "F37 I1 I5 I6 I10 I13: without faults", short: true, after: ended(4401), run: func(w *world) { w.wait(2 * time.Second) }},
		{name: "F6 I1 I6: a gateway cut off from NATS asks Redis", run: cutOff(cut)},
		{name: "F6 I1 I6: nothing passes between a gateway and NATS", run: cutOff(swallow)},
		{name: "F7 F37 I1 I2 I5 I13: a gateway cut off from NATS and Redis says that it does not know", short: true, after: ended(1013), run: blind(cut)},
		{name: "F7 F37 I1 I2 I5 I13: nothing passes between a gateway, NATS and Redis", after: ended(1013), run: blind(swallow)},
		{name: "F8 I1 I2 I5: a gateway can send and not receive", run: blind(deafen)},
		{name: "F8 I1 I6: a gateway can receive from NATS and not send", run: cutOff(func(l *faultproxy.Link) { l.Stall(faultproxy.Up) })},
		{name: "F10 I1 I6: NATS is two seconds away", run: func(w *world) {
			slow := func(l *faultproxy.Link) { l.Delay(time.Second, time.Second) }
			var begin, end []func() error
			for _, p := range w.Gateways {
				begin = append(begin, w.links(p.Name, w.brokerNames(), slow))
				end = append(end, w.links(p.Name, w.brokerNames(), heal))
			}
			w.fault("slow", fault{begin: together(begin...), end: together(end...), last: 2 * enough})
		}},
		{name: "F11 F30 I1 I2: a gateway that was stopped does not trust what it knew", run: func(w *world) {
			w.fault("gateway-2 is stopped", fault{begin: w.Gateways[1].Pause, end: w.Gateways[1].Resume, last: enough})
			w.wait(time.Second)
		}},
		{name: "F29 I1 I5 I7: a gateway is killed and starts with nothing", run: func(w *world) {
			for range 3 {
				w.fault("gateway-3 is killed", fault{begin: w.Gateways[2].Kill, end: w.Gateways[2].Start, last: time.Second})
				w.wait(time.Second)
			}
		}},
		{name: "F29 I1 I5 I7: all gateways are killed at once", run: func(w *world) {
			w.fault("all gateways are killed", fault{begin: each(w.Gateways, kill), end: each(w.Gateways, start), last: time.Second})
			w.wait(enough)
		}},
		{name: "F29 F45 I2 I7: a gateway that starts where nobody knows anything is not ready", run: func(w *world) {
			w.fault("all that know are dead and gateway-1 starts anew", fault{
				begin: together(each(w.Auths, kill), w.Gateways[0].Kill, w.Gateways[0].Start), end: each(w.Auths, start), blind: everybody, last: enough,
			})
		}},
		{name: "F38 I1: the same connections carry tokens before and after their revocation", run: func(w *world) {
			// The clients keep their connections; there is nothing else to break.
			w.wait(2 * enough)
		}},
	}
}
