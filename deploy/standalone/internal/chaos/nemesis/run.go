package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// actTimeout bounds a single act, such as a purge on a broker that is away.
const actTimeout = 5 * time.Second

// Run carries out the plan until ctx ends, and notes when each fault was
// active. note is told of each step, for the log. What cannot be done, because
// the system is too broken already, is no error but is told, too.
func Run(ctx context.Context, p *Plan, r *history.Recorder, note func(format string, args ...any)) {
	for ctx.Err() == nil {
		s := p.Next()
		var names []string
		var healed []func()
		for _, f := range s.Faults {
			names = append(names, f.Name)
			healed = append(healed, begin(ctx, f, r, note))
		}
		note("%7.1f s: %s, for %v", r.Now().Seconds(), strings.Join(names, "; "), s.Last.Round(time.Millisecond))
		pause(ctx, s.Last)
		for _, end := range healed {
			end()
		}
		pause(ctx, s.Rest)
	}
}

// begin makes a fault active, and gives what heals it.
func begin(ctx context.Context, f *Fault, r *history.Recorder, note func(format string, args ...any)) (heal func()) {
	over := r.Begin(f.Name)
	if f.Skews {
		fault, right := over, r.BeginSkewed(f.Name)
		over = func() { right(); fault() }
	}
	if err := act(ctx, f.Begin); err != nil {
		note("%s: %v", f.Name, err)
		return func() { end(ctx, f, note); over() }
	}
	seeing := func() {}
	if len(f.Blind) > 0 {
		seeing = r.Begin(f.Name, f.Blind...)
	}
	return func() {
		seeing()
		end(ctx, f, note)
		over()
	}
}

func end(ctx context.Context, f *Fault, note func(format string, args ...any)) {
	if f.End == nil {
		return
	}
	if err := act(ctx, f.End); err != nil {
		note("end of %s: %v", f.Name, err)
	}
}

// act does something whole, even if the run ends meanwhile.
func act(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actTimeout)
	defer cancel()
	err := do(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("not done within %v: %w", actTimeout, err)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
