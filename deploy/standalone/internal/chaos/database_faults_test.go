package chaos

import (
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// databaseFaults happen to PostgreSQL and the ways to it.
func databaseFaults() []scenario {
	away := func(breakOne func(*faultproxy.Link)) func(w *world) {
		return func(w *world) {
			to := []string{"postgres"}
			w.fault("PostgreSQL is away", fault{
				begin: together(w.links("auth-1", to, breakOne), w.links("auth-2", to, breakOne)),
				end:   together(w.links("auth-1", to, heal), w.links("auth-2", to, heal)), blind: everybody, last: enough,
			})
		}
	}
	return []scenario{
		{name: "F23 I2 I3: PostgreSQL is away", run: away(cut)},
		{name: "F23 I2 I3: PostgreSQL does not answer", run: away(swallow)},
		{name: "F23 I1 I3: PostgreSQL is away from the active sequencer only", run: func(w *world) {
			for _, name := range []string{"auth-1", "auth-2"} {
				w.fault(name+" is cut off from PostgreSQL", fault{
					begin: w.links(name, []string{"postgres"}, swallow), end: w.links(name, []string{"postgres"}, heal), last: enough,
				})
			}
		}},
		{name: "F26 I3 I4: connections break during commits", run: func(w *world) {
			over := w.recorder.Begin("connections to PostgreSQL break")
			for range 40 {
				for _, name := range []string{"auth-1", "auth-2"} {
					w.Link(name, "postgres").Reset()
				}
				w.wait(100 * time.Millisecond)
			}
			over()
		}},
		// What was lost with the commits cannot be known: sessions that had ended
		// live again in the database (I10). But nothing that happens afterwards
		// spares a token of the lost history, and no fresh one is refused.
		{name: "F24 I1 I5 I6 I12: PostgreSQL fails over and has lost what was committed", without: []string{"I10"}, run: func(w *world) {
			w.failOver(2 * enough)
			w.wait(2 * enough)
		}},
	}
}

// failOver copies the database, lets time pass, and puts the copy in its place.
func (w *world) failOver(after time.Duration) {
	w.fault("a backup is made", fault{begin: together(
		each(w.Auths, kill), func() error { return w.BackUp(w.ctx) }, each(w.Auths, start),
		func() error { return w.AwaitReady(w.ctx, w.Auths[0]) }, func() error { return w.AwaitReady(w.ctx, w.Auths[1]) },
	)})
	w.wait(after)
	w.fault("the backup takes over", fault{begin: together(each(w.Auths, kill), func() error { return w.Restore(w.ctx) }, each(w.Auths, start))})
}
