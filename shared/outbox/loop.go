package outbox

import (
	"context"
	"errors"
	"math"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// loop is a running relay: one goroutine that claims and settles, and up to
// Concurrency that deliver. What it holds is bounded by Concurrency.
type loop struct {
	relay      *Relay
	deliveries context.Context // of the deliveries; outlives the loop's own a little
	results    chan result     // has room for every delivery under way

	busy      int       // deliveries under way
	unsettled []result  // finished but not noted in the table yet
	more      bool      // there may be messages that are due
	nextDue   int64     // when the next message that failed here is due
	notBefore time.Time // no claim before, unless woken: what we deliver to is away
	pause     time.Duration
	troubled  bool // the database was away at the last look
}

func (l *loop) run(ctx context.Context) {
	l.more, l.nextDue = true, math.MaxInt64
	for ctx.Err() == nil {
		l.settle(ctx)
		free := l.relay.Concurrency - l.busy - len(l.unsettled)
		if l.more && free*2 >= l.relay.Concurrency && !time.Now().Before(l.notBefore) {
			l.claim(ctx, free)
			continue
		}
		l.wait(ctx)
	}
}

// claim takes messages and starts their delivery.
func (l *loop) claim(ctx context.Context, limit int) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, more, err := l.relay.claim(bounded, limit)
	if l.trouble(ctx, err) {
		return
	}
	l.more = more
	for _, m := range rows {
		l.busy++
		go func() { l.results <- l.relay.deliver(l.deliveries, m) }()
	}
}

// wait sleeps until there is something to do.
func (l *loop) wait(ctx context.Context) {
	sleep := l.relay.Poll
	if l.nextDue != math.MaxInt64 {
		sleep = min(sleep, sqldb.Time(l.nextDue).Sub(l.relay.Now()))
	}
	if l.more && l.busy == 0 {
		sleep = min(sleep, time.Until(l.notBefore))
	}
	timer := time.NewTimer(max(sleep, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case res := <-l.results:
		l.collect(res)
	case <-l.relay.wake:
		l.more, l.notBefore = true, time.Time{}
	case <-l.relay.hasten:
		l.notBefore = time.Time{}
		l.look(ctx, func(ctx context.Context) (bool, error) { return true, l.relay.retryNow(ctx) })
	case <-timer.C:
		l.nextDue = math.MaxInt64
		if !l.more {
			l.look(ctx, l.relay.due)
		}
	}
}

// look asks the database whether there is more to do.
func (l *loop) look(ctx context.Context, ask func(context.Context) (bool, error)) {
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	more, err := ask(bounded)
	if !l.trouble(ctx, err) {
		l.more = more
	}
}

// collect takes the results that are there, so that many are noted at once.
func (l *loop) collect(res result) {
	for {
		l.busy--
		l.unsettled = append(l.unsettled, res)
		select {
		case res = <-l.results:
		default:
			return
		}
	}
}

// settle notes the results in the table. If that fails they are kept, and the
// leases see to it that nobody else delivers them meanwhile.
func (l *loop) settle(ctx context.Context) {
	if len(l.unsettled) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if l.trouble(ctx, l.relay.settle(bounded, l.unsettled)) {
		return
	}
	useful := false
	for _, res := range l.unsettled {
		useful = useful || res.err == nil || !fault.Is(res.err, fault.Unavailable)
		if res.err != nil {
			l.nextDue = min(l.nextDue, res.nextAt)
		}
	}
	l.unsettled = l.unsettled[:0]
	if useful {
		l.pause = minPause
		return
	}
	// Nothing but failures of something that is away: there is no hurry.
	l.notBefore = time.Now().Add(l.pause)
	l.pause = min(2*l.pause, maxPause)
}

// trouble deals with an error of the database: it logs the first of a row, and
// waits a little, longer each time. It reports whether there was one.
func (l *loop) trouble(ctx context.Context, err error) bool {
	if err == nil {
		if l.troubled {
			l.relay.Log.Info("outbox database is back")
			l.troubled, l.pause = false, minPause
		}
		return false
	}
	if ctx.Err() != nil {
		return true
	}
	if !l.troubled {
		l.relay.Log.Warn("outbox database is away", "error", err)
	}
	l.troubled = true
	timer := time.NewTimer(l.pause)
	defer timer.Stop()
	l.pause = min(2*l.pause, maxPause)
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return true
}

// stop lets the deliveries under way finish, for a moment, and notes what
// became of them. What was cut off is given back at once.
func (l *loop) stop(cancel context.CancelFunc) {
	grace := time.AfterFunc(stopGrace, cancel)
	defer grace.Stop()
	for l.busy > 0 {
		l.collect(<-l.results)
	}
	if len(l.unsettled) == 0 {
		return
	}
	for i, res := range l.unsettled {
		if errors.Is(res.err, context.Canceled) {
			l.unsettled[i].nextAt = sqldb.Micros(l.relay.Now())
		}
	}
	ctx, done := context.WithTimeout(context.Background(), storeTimeout)
	defer done()
	if err := l.relay.settle(ctx, l.unsettled); err != nil {
		l.relay.Log.Warn("outbox deliveries not noted: they will be repeated", "error", err)
	}
}
