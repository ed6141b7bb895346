package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.internal/shared/fault"
)

// Bounds of the handling of one message.
const (
	handleTimeout = time.Minute
	minRetry      = 50 * time.Millisecond
	maxRetry      = 5 * time.Second
)

// poison marks an error for which trying again is of no use.
type poison struct{ error }

func (p poison) Unwrap() error { return p.error }

// Poison marks an error of a Consume handler: no further try will help, so the
// message goes to the dead letters at once.
func Poison(err error) error {
	if err == nil {
		return nil
	}
	return poison{err}
}

// work is a batch of messages of a consumer. The ones that wait behind a slow
// one are kept alive, so that the server does not give them to another.
type work struct {
	bus      *Bus
	consumer Consumer
	handle   func(context.Context, []byte) error
	arrived  chan struct{} // one token: something was added, or the feed ended

	mu    sync.Mutex
	held  []jetstream.Msg // not yet done; the first is being handled
	ended bool            // the feed has no more
}

// run handles the messages of feed, one after another, until it ends. When ctx
// ends it gives back what it has not handled.
func (w *work) run(ctx context.Context, feed <-chan jetstream.Msg) {
	finished := make(chan struct{})
	var receiver sync.WaitGroup
	receiver.Go(func() { w.receive(feed, finished) })
	defer receiver.Wait()
	defer close(finished)
	for {
		msg, _ := w.first()
		if msg == nil {
			return
		}
		if !w.deliver(ctx, msg) {
			break
		}
		w.drop()
	}
	w.giveBack()
}

// giveBack returns what is held to the server, for another process to take. It
// waits for the end of the feed, which ends with the context.
func (w *work) giveBack() {
	for _, ended := w.first(); !ended; _, ended = w.first() {
		<-w.arrived
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, msg := range w.held {
		if err := msg.Nak(); err != nil { // it comes back after AckWait anyway
			return
		}
	}
}

// receive takes messages as they come, and keeps the held ones alive until
// finished.
func (w *work) receive(feed <-chan jetstream.Msg, finished <-chan struct{}) {
	ticker := time.NewTicker(w.consumer.AckWait / 3)
	defer ticker.Stop()
	for {
		select {
		case msg, open := <-feed:
			if !open {
				feed = nil
			}
			w.add(msg, !open)
		case <-ticker.C:
			w.keepAlive()
		case <-finished:
			return
		}
	}
}

func (w *work) add(msg jetstream.Msg, ended bool) {
	w.mu.Lock()
	if ended {
		w.ended = true
	} else {
		w.held = append(w.held, msg)
	}
	w.mu.Unlock()
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// first waits for a message and gives it without taking it away; nil means
// that there will be none. It also tells whether the feed has ended.
func (w *work) first() (msg jetstream.Msg, ended bool) {
	for {
		w.mu.Lock()
		ended = w.ended
		if len(w.held) > 0 {
			msg = w.held[0]
		}
		w.mu.Unlock()
		if msg != nil || ended {
			return msg, ended
		}
		<-w.arrived
	}
}

func (w *work) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = w.held[1:]
}

func (w *work) keepAlive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, msg := range w.held {
		if err := msg.InProgress(); err != nil { // away; there is nothing to keep
			return
		}
	}
}

// deliver has one message handled and acknowledged, and reports false if ctx
// ended before.
func (w *work) deliver(ctx context.Context, msg jetstream.Msg) bool {
	tries := 1
	if meta, err := msg.Metadata(); err == nil {
		tries = int(meta.NumDelivered) // earlier ones ended with the process
	}
	wait := minRetry
	for {
		err := w.once(ctx, msg)
		if err == nil {
			// A lost acknowledgement has the message come again, no more.
			_ = msg.Ack()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		_, poisoned := errors.AsType[poison](err)
		transient := fault.Is(err, fault.Unavailable) && !poisoned
		w.bus.log.Warn("message not handled", "consumer", w.consumer.Durable, "subject", msg.Subject(), "try", tries, "error", err)
		if poisoned || (!transient && tries >= w.consumer.MaxDeliver) {
			return w.bury(ctx, msg, err)
		}
		if !transient {
			tries++
		}
		if pause(ctx, wait) != nil {
			return false
		}
		wait = min(2*wait, maxRetry)
	}
}

func (w *work) once(ctx context.Context, msg jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	return w.bus.guard(msg.Subject(), func() error { return w.handle(ctx, msg.Data()) })
}

// bury puts a message among the dead letters, however long that takes, and
// reports false if ctx ended before.
func (w *work) bury(ctx context.Context, msg jetstream.Msg, cause error) bool {
	wait := minRetry
	for {
		err := w.bus.storeDead(ctx, w.consumer.Durable, msg, cause)
		if err == nil {
			_ = msg.Ack() // as in deliver
			w.bus.log.Error("message is a dead letter now", "consumer", w.consumer.Durable, "subject", msg.Subject(), "error", cause)
			return true
		}
		w.bus.log.Error("dead letter not stored", "consumer", w.consumer.Durable, "error", err)
		if pause(ctx, wait) != nil {
			return false
		}
		wait = min(2*wait, maxRetry)
	}
}
