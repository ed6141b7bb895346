package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// Bounds of what waits for a subscriber. Beyond them messages are dropped.
const (
	pendingMessages = 8192
	pendingBytes    = 32 << 20
)

// Message is a message as a subscriber gets it.
type Message struct {
	Subject string
	Data    []byte
	Reply   string
}

// Subscription is a running subscription.
type Subscription interface {
	// Stop ends the subscription and waits for its handler. It may be called
	// again, but never from the handler.
	Stop()
	// Dropped counts the messages that were lost because the handler was slow.
	Dropped() int
}

// subscription is one goroutine that takes messages in order.
type subscription struct {
	bus     *Bus
	sub     *nats.Subscription
	drain   func() // waits for what the handler has started; may be nil
	cancel  context.CancelFunc
	done    chan struct{}
	once    sync.Once
	dropped atomic.Int64 // as it was when the subscription ended
}

// listener says what a subscription listens to and what it does.
type listener struct {
	subject string
	queue   string
	handle  func(stop context.Context, msg *nats.Msg)
	drain   func()
}

// Subscribe has handle called for every message of a subject, which may hold
// wildcards, one after another on one goroutine. It survives reconnects, and
// works once the server is there if it is away now.
func (b *Bus) Subscribe(subject string, handle func(Message)) (Subscription, error) {
	s, err := b.listen(listener{subject: subject, handle: func(_ context.Context, msg *nats.Msg) {
		// The error of a panic has been logged.
		_ = b.guard(msg.Subject, func() error {
			handle(Message{Subject: msg.Subject, Data: msg.Data, Reply: msg.Reply})
			return nil
		})
	}})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (b *Bus) listen(l listener) (*subscription, error) {
	attempted := "subscribe " + l.subject
	var raw *nats.Subscription
	var err error
	if l.queue == "" {
		raw, err = b.conn.SubscribeSync(l.subject)
	} else {
		raw, err = b.conn.QueueSubscribeSync(l.subject, l.queue)
	}
	if err != nil {
		return nil, b.failure(attempted, err)
	}
	if err := raw.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return nil, b.failure(attempted, errors.Join(err, raw.Unsubscribe()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &subscription{bus: b, sub: raw, drain: l.drain, cancel: cancel, done: make(chan struct{})}
	if !b.track(s) {
		cancel()
		return nil, b.failure(attempted, errors.Join(nats.ErrConnectionClosed, raw.Unsubscribe()))
	}
	go s.run(ctx, l.handle)
	b.settle()
	return s, nil
}

// settle waits until the server knows of what was (un)subscribed. If it does
// not answer now, the library tells it when it does.
func (b *Bus) settle() {
	if b.connected.Load() {
		_ = b.conn.FlushTimeout(connectTimeout)
	}
}

// track remembers a subscription for Close, and reports false if it is too
// late for that.
func (b *Bus) track(s *subscription) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.subs[s] = struct{}{}
	}
	return !b.closed
}

func (s *subscription) run(ctx context.Context, handle func(context.Context, *nats.Msg)) {
	defer close(s.done)
	for ctx.Err() == nil {
		msg, err := s.sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
			handle(ctx, msg)
		case errors.Is(err, nats.ErrSlowConsumer): // told once; the drops are counted
		default:
			return // stopped, or the connection is closed for good
		}
	}
}

// Stop implements Subscription.
func (s *subscription) Stop() {
	s.once.Do(func() {
		s.dropped.Store(int64(s.Dropped()))
		// An error means that the connection is closed, and with it this.
		_ = s.sub.Unsubscribe()
		s.bus.settle() // a request goes to another responder from now on
		s.cancel()
		s.bus.mu.Lock()
		delete(s.bus.subs, s)
		s.bus.mu.Unlock()
	})
	<-s.done
	if s.drain != nil {
		s.drain()
	}
}

// Dropped implements Subscription.
func (s *subscription) Dropped() int {
	n, err := s.sub.Dropped()
	if err != nil { // stopped
		return int(s.dropped.Load())
	}
	return n
}

// guard calls a handler and makes an error of its panic, so that one bad
// message does not end the process.
func (b *Bus) guard(subject string, handle func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			b.log.Error("message handler panicked", "subject", subject, "panic", value, "stack", string(debug.Stack()))
			err = fmt.Errorf("handler of %s panicked: %v", subject, value)
		}
	}()
	return handle()
}
