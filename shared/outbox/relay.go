package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// Bounds of a relay.
const (
	storeTimeout = 5 * time.Second
	stopGrace    = 3 * time.Second // for deliveries under way when Run is told to stop
	minPause     = 100 * time.Millisecond
	maxPause     = 2 * time.Second
	maxNote      = 500 // bytes of an error that the table keeps
)

// Relay delivers the messages of one outbox table. Several may run on the same
// table, in one process or in many. Fields after Log have defaults.
type Relay struct {
	DB      *sqldb.DB
	Deliver func(ctx context.Context, m Message) error // must bear repetition, and end when ctx does
	Now     func() time.Time
	Log     *slog.Logger

	Topics      string        // only topics that start with it; empty for all
	Concurrency int           // deliveries at once; 16
	Timeout     time.Duration // of one delivery; 10 s
	Lease       time.Duration // after which another relay takes over a message; 30 s
	Poll        time.Duration // how often to look without being woken; 1 s
	MaxAttempts int64         // failures until a message is parked; 10
	MaxBackoff  time.Duration // longest pause between two attempts; 1 min

	once   sync.Once
	wake   chan struct{}
	hasten chan struct{}
	claims uint64 // only the loop of Run touches it
}

// result is what became of a claimed message.
type result struct {
	row      row
	err      error
	attempts int64 // what the table is to say
	nextAt   int64
	note     string
}

func (r *Relay) init() {
	r.once.Do(func() {
		r.wake = make(chan struct{}, 1)
		r.hasten = make(chan struct{}, 1)
	})
}

// Wake tells that messages were committed. It does not block.
func (r *Relay) Wake() {
	r.init()
	notify(r.wake)
}

// Retry has messages that wait after a failure tried again now, for example
// because the broker is back. It does not block.
func (r *Relay) Retry() {
	r.init()
	notify(r.hasten)
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, then lets the deliveries under way finish for a
// moment and returns nil. A database that is away is waited for.
func (r *Relay) Run(ctx context.Context) error {
	if r.DB == nil || r.Deliver == nil || r.Now == nil || r.Log == nil {
		return errors.New("outbox relay: DB, Deliver, Now and Log are needed")
	}
	r.init()
	l := loop{relay: r.withDefaults(), pause: minPause}
	l.results = make(chan result, l.relay.Concurrency)
	deliveries, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.deliveries = deliveries
	l.run(ctx)
	l.stop(cancel)
	return nil
}

// withDefaults gives a copy with every field set.
func (r *Relay) withDefaults() *Relay {
	return &Relay{
		DB: r.DB, Deliver: r.Deliver, Now: r.Now, Log: r.Log, Topics: r.Topics,
		Concurrency: cmp.Or(r.Concurrency, 16),
		Timeout:     cmp.Or(r.Timeout, 10*time.Second),
		Lease:       cmp.Or(r.Lease, lease),
		Poll:        cmp.Or(r.Poll, time.Second),
		MaxAttempts: cmp.Or(r.MaxAttempts, 10),
		MaxBackoff:  cmp.Or(r.MaxBackoff, time.Minute),
		wake:        r.wake,
		hasten:      r.hasten,
	}
}

// deliver delivers one message and says what the table is to note.
func (r *Relay) deliver(ctx context.Context, m row) result {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	err := r.guarded(ctx, Message{ID: m.ID, Topic: m.Topic, Payload: m.Payload})
	res := result{row: m, err: err, attempts: m.Attempts}
	if err == nil {
		return res
	}
	res.note = note(err)
	if errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
		// Not the message's fault: the attempt does not count, and the pause
		// grows with the time that it has waited already.
		res.attempts--
		waited := r.Now().Sub(sqldb.Time(m.CreatedAt))
		res.nextAt = r.after(min(max(waited/4, minPause), 10*time.Second))
		return res
	}
	if m.Attempts >= r.MaxAttempts {
		res.nextAt = parked
		r.Log.Error("outbox message is parked", "id", m.ID, "topic", m.Topic, "attempts", m.Attempts, "error", err)
		return res
	}
	res.nextAt = r.after(minPause << min(m.Attempts-1, 20))
	r.Log.Warn("outbox message not delivered", "id", m.ID, "topic", m.Topic, "attempts", m.Attempts, "error", err)
	return res
}

// guarded calls Deliver and makes an error of its panic, so that one bad
// message does not end the process.
func (r *Relay) guarded(ctx context.Context, m Message) (err error) {
	defer func() {
		if value := recover(); value != nil {
			r.Log.Error("outbox delivery panicked", "id", m.ID, "topic", m.Topic, "panic", value, "stack", string(debug.Stack()))
			err = fmt.Errorf("delivery panicked: %v", value)
		}
	}()
	return r.Deliver(ctx, m)
}

// note gives an error as a text that any database takes.
func note(err error) string {
	text := err.Error()
	text = text[:min(len(text), maxNote)]
	return cmp.Or(strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", ""), "failed")
}

// after gives the time of the next attempt, with jitter, so that messages
// which failed together do not come back together.
func (r *Relay) after(pause time.Duration) int64 {
	pause = min(pause, r.MaxBackoff)
	return sqldb.Micros(r.Now().Add(pause/2 + rand.N(pause)))
}
