// Package lifecycle starts the parts of a program, watches over them and stops
// them. It promises to stop in reverse order of starting, one part after the
// other, each with its own context, to wait for each (up to a bound), and to
// report every failure. The first part that ends stops the whole program: no
// process goes on with a part missing.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// DefaultStopTimeout is how long a part may take to stop when it says nothing.
const DefaultStopTimeout = 15 * time.Second

// Part is something long-lived. Run blocks, and returns nil when its context
// ends; a Run that returns earlier, even without an error, is a failure.
type Part struct {
	Name        string
	Run         func(ctx context.Context) error
	StopTimeout time.Duration // 0 means DefaultStopTimeout
}

// running is a part that was started.
type running struct {
	Part
	stop   context.CancelFunc
	result chan error // holds Run's answer once; of size 1, so that Run's goroutine always ends
}

// Run starts the parts in order and blocks until ctx ends or a part does. It
// then stops the parts in reverse order and returns their joined failures.
// A part that does not stop in time is reported and left behind.
func Run(ctx context.Context, log *slog.Logger, parts ...Part) error {
	ended := make(chan *running, len(parts))
	started := make([]*running, 0, len(parts))
	for _, part := range parts {
		started = append(started, start(ctx, part, ended))
	}

	var problems []error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case r := <-ended:
		err := <-r.result
		r.result <- nil // what it had to say is said here
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended without being asked to")
			}
			log.Error("stopping because a part ended", "part", r.Name, "error", err)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", r.Name, err))
		}
	}
	for i := len(started) - 1; i >= 0; i-- {
		if err := started[i].halt(); err != nil {
			log.Error("part did not stop cleanly", "part", started[i].Name, "error", err)
			problems = append(problems, fmt.Errorf("%s: %w", started[i].Name, err))
		}
	}
	return errors.Join(problems...)
}

// start runs the part in a goroutine of its own. Its context keeps the values
// of ctx but not its end: each part is told to stop when its turn has come.
func start(ctx context.Context, part Part, ended chan<- *running) *running {
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Part: part, stop: stop, result: make(chan error, 1)}
	go func() {
		err := part.Run(own)
		if own.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // the usual way of saying that it was asked to stop
		}
		r.result <- err
		ended <- r
	}()
	return r
}

// halt asks the part to stop and waits for it.
func (r *running) halt() error {
	limit := r.StopTimeout
	if limit <= 0 {
		limit = DefaultStopTimeout
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	r.stop()
	select {
	case err := <-r.result:
		return err
	case <-timer.C:
		return fmt.Errorf("did not stop within %v", limit)
	}
}
