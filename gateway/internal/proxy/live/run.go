package live

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

const (
	// judgePause is how often it is looked whether the node still knows enough.
	// It is part of the bound on how long an answer outlives that knowledge.
	judgePause = 100 * time.Millisecond
	// judgeAll is after how many of these all answers are judged anew although
	// the node knows enough: Applied has told of everything, so this finds
	// nothing unless something is wrong.
	judgeAll = 50
	// judges bounds how many questions are asked at once when knowledge has to
	// come from elsewhere.
	judges = 8
	// stopPause bounds how long a stopping gateway waits for the endless
	// answers to have said good-bye.
	stopPause = 2 * time.Second
)

// Run ends answers that must end until ctx is done. It must go on until the
// server has stopped: until then answers begin, and tokens are revoked.
func (r *Registry) Run(ctx context.Context) error {
	var group sync.WaitGroup
	stop := make(chan struct{})
	group.Go(func() { r.endDue(stop) })
	r.judge(ctx)
	close(stop)
	group.Wait()
	return nil
}

// Leave waits for ctx to be done, because the gateway stops. Then it ends the
// endless answers and waits for them, within bounds, so that a stopping server
// need not; the others may come to their end, as every request under way. An
// endless one that begins later ends at once, as long as Run goes on.
func (r *Registry) Leave(ctx context.Context) error {
	<-ctx.Done()
	r.stop()
	return nil
}

// endDue tells answers to end, as soon as they must.
func (r *Registry) endDue(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-r.wake:
		}
		r.mu.Lock()
		due := r.due
		r.due = nil
		r.mu.Unlock()
		for _, e := range due {
			e.answer.Ender.End(e.cause)
		}
	}
}

// stop ends the endless answers and waits for them.
func (r *Registry) stop() {
	r.mu.Lock()
	r.stopped = true
	for a := range r.open {
		if a.Kind.endless() {
			r.mustEnd(a, Stopping)
		}
	}
	r.mu.Unlock()
	late := time.NewTimer(stopPause)
	defer late.Stop()
	for r.Count(EventStream)+r.Count(WebSocket) > 0 {
		select {
		case <-r.gone:
		case <-late.C:
			return
		}
	}
}

// judge looks after the age of what the node knows until ctx ends.
func (r *Registry) judge(ctx context.Context) {
	ticker := time.NewTicker(judgePause)
	defer ticker.Stop()
	last := map[time.Duration]time.Time{}
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.judgeOpen(ctx, r.dueLimits(last, round%judgeAll == 0))
		}
	}
}

// dueLimits says for which limits all answers are due to be judged, and how
// old the knowledge may be by which they are. Where the node itself knows
// enough, nobody is, but now and then. Elsewhere an answer is judged every
// judgeEvery, and what it is judged by must hold until the next time.
func (r *Registry) dueLimits(last map[time.Duration]time.Time, all bool) map[time.Duration]time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	due := map[time.Duration]time.Duration{}
	for limit := range r.limits {
		every := judgeEvery(limit)
		switch {
		case r.o.Fresh(limit):
			delete(last, limit)
			if all {
				due[limit] = limit
			}
		case now.Sub(last[limit]) >= every:
			last[limit] = now
			due[limit] = limit - every
		}
	}
	return due
}

// judgeEvery is how often answers are judged by knowledge from elsewhere: often
// enough for their limit, and not more, for each question costs that source.
func judgeEvery(limit time.Duration) time.Duration {
	return min(limit/4, time.Second)
}

// question is what answers have in common for which it is asked once.
type question struct {
	refs    contract.Refs
	version uint64
	key     string
	limit   time.Duration // how old knowledge may be
}

// judgeOpen judges the answers whose limits are due.
func (r *Registry) judgeOpen(ctx context.Context, due map[time.Duration]time.Duration) {
	if len(due) == 0 {
		return
	}
	answers := r.questions(due)
	order := slices.SortedFunc(maps.Keys(answers), func(a, b question) int { return cmp.Compare(b.limit, a.limit) })
	var next, unknown atomic.Int64 // unknown: no knowledge is as young as this
	var group sync.WaitGroup
	for range min(judges, len(order)) {
		group.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(order) && ctx.Err() == nil; i = next.Add(1) - 1 {
				r.judgeOne(ctx, order[i].limit, answers[order[i]], &unknown)
			}
		})
	}
	group.Wait()
}

// questions gathers what has to be asked.
func (r *Registry) questions(due map[time.Duration]time.Duration) map[question][]*Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers := map[question][]*Answer{}
	for a := range r.open {
		if limit, is := due[a.MaxStaleness]; is && a.Claims != nil && !a.ending {
			q := question{refs: a.Claims.Refs, version: a.Claims.Version, key: a.Claims.KeyID, limit: limit}
			answers[q] = append(answers[q], a)
		}
	}
	return answers
}

// judgeOne judges the answers to one question. When nothing fresh enough is
// known for one, it is not for those that allow no older knowledge either, so
// a source that is away is asked a few times and not once for each.
func (r *Registry) judgeOne(ctx context.Context, limit time.Duration, answers []*Answer, unknown *atomic.Int64) {
	cause := Unknown
	if known := unknown.Load(); known == 0 || int64(limit) > known {
		err := r.o.Revocations.Check(ctx, answers[0].Claims, limit)
		if err == nil || ctx.Err() != nil {
			return
		}
		if cause = causeOf(err); cause == Unknown {
			unknown.CompareAndSwap(known, int64(limit))
		}
	}
	for _, a := range answers {
		r.end(a, cause)
	}
}

// causeOf is why an answer ends whose token is refused with err.
func causeOf(err error) Cause {
	switch kind := fault.KindOf(err); kind {
	case fault.TokenRevoked, fault.TokenStale, fault.TokenExpired:
		return Cause(kind)
	}
	return Unknown
}
