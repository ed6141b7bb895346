package revocation

import (
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
)

// The bounds of sharing.
const (
	maxTrips  = 2  // transactions under way at once
	maxShared = 64 // questions in one of them
)

// question is one token that somebody asks about.
type question struct {
	token  *contract.Claims
	turn   chan struct{} // it is its asker's turn to carry questions to Redis
	done   chan struct{} // closed when there is an answer or an error
	answer redisAnswer
	err    error
}

// line is where questions wait for the next trip. Whoever asks carries the
// questions that wait, those of others too; nobody works for others after that,
// but hands the turn to one who still waits.
type line struct {
	mu      sync.Mutex
	waiting []*question
	free    int // trips that may begin
}

// join adds a question, and gives its asker the turn if a trip is free.
func (l *line) join(q *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, q)
	if l.free > 0 {
		l.free--
		q.turn <- struct{}{}
	}
}

// take removes the questions for one trip, the oldest first.
func (l *line) take() []*question {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), maxShared)
	taken := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return taken
}

// leave removes a question, and hands on a turn that its asker was given and
// has not used.
func (l *line) leave(q *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.waiting {
		if l.waiting[i] == q {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			break
		}
	}
	select {
	case <-q.turn:
		l.pass()
	default:
	}
}

// handOn ends a trip.
func (l *line) handOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass()
}

// pass gives the turn to the last in the line, who has the most time left for
// a trip, if anybody waits. l.mu is held.
func (l *line) pass() {
	for _, q := range slices.Backward(l.waiting) {
		select {
		case q.turn <- struct{}{}:
			return
		default: // has the turn of another trip
		}
	}
	l.free++
}

// share has a question answered, together with those that wait at the same
// time.
func (r *Redis) share(ctx context.Context, token *contract.Claims) (redisAnswer, error) {
	limit := time.Now().Add(r.patience) // as contexts measure it
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	q := &question{token: token, turn: make(chan struct{}, 1), done: make(chan struct{})}
	r.line.join(q)
	defer r.line.leave(q)
	for {
		select {
		case <-q.done:
			return q.answer, q.err
		case <-q.turn:
			r.carry(ctx, limit)
		case <-ctx.Done():
			return redisAnswer{}, ctx.Err()
		}
	}
}

// carry makes one trip until the limit of whoever makes it, even if its own
// request has ended: others wait for the answers too.
func (r *Redis) carry(ctx context.Context, limit time.Time) {
	defer r.line.handOn()
	asked := r.line.take()
	if len(asked) == 0 {
		return // another trip has taken them along
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), limit)
	defer cancel()
	answers, err := r.trip(ctx, asked)
	for i, q := range asked {
		if q.err = err; err == nil {
			q.answer = answers[i]
		}
		close(q.done)
	}
}

// trip asks Redis, unless a trip has failed a moment ago.
func (r *Redis) trip(ctx context.Context, asked []*question) ([]redisAnswer, error) {
	if r.resting() {
		return nil, errResting
	}
	tokens := make([]*contract.Claims, len(asked))
	for i, q := range asked {
		tokens[i] = q.token
	}
	answers, err := r.query(ctx, tokens)
	if err != nil {
		r.rest.Store(r.now().Add(askRest).UnixNano())
	}
	return answers, err
}

// resting is true for a moment after a failure.
func (r *Redis) resting() bool { return r.now().UnixNano() < r.rest.Load() }
