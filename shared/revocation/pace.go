package revocation

import (
	"context"
	"errors"
	"time"
)

// replayPace is after how long a replay is judged by what it has brought.
const replayPace = time.Second

var errTooSlow = errors.New("the replay is too slow")

// awaitReplay returns when the replay has ended, or has become unwanted because
// asking by number is faster. That is so of a stream that hangs, and of one with
// a signature for every few entries, as quiet hours leave it.
func (f *Follower) awaitReplay(ctx context.Context) {
	ticker := time.NewTicker(replayPace)
	defer ticker.Stop()
	for before := (Position{}); ; {
		select {
		case <-ctx.Done():
			return
		case <-f.replayed:
			return
		case <-ticker.C:
		}
		at := f.View.Progress.Position()
		if tooSlow(before, at) {
			close(f.slow)
			return
		}
		before = at
	}
}

// tooSlow is true if a replay that has come so far within replayPace would need
// more than twice that for the rest.
func tooSlow(before, at Position) bool {
	if before.Epoch != at.Epoch {
		before.Applied = 0
	}
	return at.Head > at.Applied && at.Head-at.Applied > 2*(at.Applied-before.Applied)
}
