package chaos

// systemFaults happen to everything but the gateways.
func systemFaults() []scenario {
	return []scenario{
		{name: "F45 S-A2 I2 I12: only the gateways run, and all heals without their starting again", short: true, run: func(w *world) {
			rest := append(append(w.Auths[:0:0], w.Auths...), w.Brokers...)
			rest = append(rest, w.Users)
			if w.Redis != nil {
				rest = append(rest, w.Redis)
			}
			w.fault("all but the gateways are killed", fault{begin: each(rest, kill), end: each(rest, start), blind: everybody, last: enough})
		}},
		{name: "F43 I1 I9: all connections are reset again and again", run: func(w *world) {
			over := w.recorder.Begin("all connections are reset")
			for range 5 {
				for _, l := range w.Links(func(string) bool { return true }) {
					l.Reset()
				}
				w.wait(enough / 4)
			}
			over()
		}},
	}
}
