package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bounds of Consume.
const (
	consumeBatch     = 64
	consumeHeartbeat = 500 * time.Millisecond // a feed without any for twice as long is dead
	minRestart       = 50 * time.Millisecond
	maxRestart       = 2 * time.Second
	quietFor         = 30 * time.Second // the same trouble is logged this often
)

// Consumer says what to consume and how.
type Consumer struct {
	Stream     string
	Durable    string        // name under which the server keeps our place
	Filter     string        // subject; empty for the whole stream
	MaxDeliver int           // tries before a message is a dead letter; 0: 5
	AckWait    time.Duration // until the server gives the message of a dead process to another; 0: 5 s
}

// Consume hands over the messages of a stream at least once and in order, from
// the oldest on the first call and from where the durable consumer stopped on
// later ones. Only a message that was on its way when a connection broke or a
// consumer stopped comes again after AckWait, out of its turn, so handle must
// not be misled by an old one. It returns nil when ctx ends. It does not end
// for trouble with the server: it makes its consumer again after a reconnect, a
// stall, or when the stream was deleted and made anew, which delivers from the
// oldest again. Processes with the same durable name share the messages.
//
// An error of handle has the message tried again, before any later one, with
// growing pauses; after MaxDeliver tries, or at once for an error marked with
// Poison, it goes to the dead letters. An error of kind fault.Unavailable is
// about us and not about the message: it is tried for as long as it takes.
func (b *Bus) Consume(ctx context.Context, c Consumer, handle func(ctx context.Context, data []byte) error) error {
	if c.Stream == "" || c.Durable == "" {
		return errors.New("consume: stream and durable name are needed")
	}
	c.MaxDeliver = cmp.Or(c.MaxDeliver, 5)
	c.AckWait = cmp.Or(c.AckWait, 5*time.Second)
	r := restarts{bus: b, name: c.Durable, wait: minRestart}
	for ctx.Err() == nil && !b.isClosed() {
		healthy, err := b.consumeOnce(ctx, c, handle)
		r.rest(ctx, healthy, err)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("consume %s: %w", c.Stream, nats.ErrConnectionClosed)
	}
	return nil
}

// consumeOnce consumes until ctx ends, the connection is made anew, or there
// is trouble. It reports whether it got so far as to listen.
func (b *Bus) consumeOnce(ctx context.Context, c Consumer, handle func(context.Context, []byte) error) (healthy bool, err error) {
	if !b.connected.Load() {
		return false, nats.ErrDisconnected
	}
	// A pull that was under way when the connection broke is forgotten by the
	// server; waiting for its heartbeats to be missed would cost a second.
	feed, cancel := context.WithCancel(ctx)
	defer cancel()
	defer b.hook(cancel)()
	call, done := withCallTimeout(feed)
	defer done()
	consumer, err := b.js.CreateOrUpdateConsumer(call, c.Stream, jetstream.ConsumerConfig{
		Durable:       c.Durable,
		FilterSubject: c.Filter,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.AckWait,
		MaxDeliver:    -1, // we count, because we know why it failed
		MaxAckPending: 2 * consumeBatch,
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, errors.Join(err, b.restoreStreams(ctx))
	}
	if err != nil {
		return false, err
	}
	for feed.Err() == nil {
		batch, err := consumer.Fetch(consumeBatch, jetstream.FetchContext(feed), jetstream.FetchHeartbeat(consumeHeartbeat))
		if err != nil {
			return true, err
		}
		w := work{bus: b, consumer: c, handle: handle, arrived: make(chan struct{}, 1)}
		w.run(ctx, batch.Messages())
		if err := batch.Error(); err != nil && feed.Err() == nil {
			return true, err
		}
	}
	return true, nil
}

// restarts spaces the attempts to consume, and logs trouble when it changes and
// else now and then.
type restarts struct {
	bus  *Bus
	name string
	wait time.Duration
	last string
	at   time.Time
}

// rest waits before the next attempt: not at all after a reconnect, and longer
// each time while nothing works.
func (r *restarts) rest(ctx context.Context, healthy bool, err error) {
	if healthy {
		r.wait = minRestart
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	if err.Error() != r.last || time.Since(r.at) > quietFor {
		r.last, r.at = err.Error(), time.Now()
		r.bus.log.Warn("consumer is interrupted", "consumer", r.name, "error", err)
	}
	// An early end of the pause is the end of ctx, which the caller sees.
	_ = pause(ctx, r.wait/2+rand.N(r.wait))
	r.wait = min(2*r.wait, maxRestart)
}
