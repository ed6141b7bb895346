package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publish sends a message to whoever listens now. An error means that it was
// not sent and will not be; no error does not mean that anyone received it.
func (b *Bus) Publish(subject string, data []byte) error {
	// Asked first because the library holds its lock while it reconnects.
	if !b.connected.Load() {
		return b.failure("publish "+subject, nats.ErrDisconnected)
	}
	return b.failure("publish "+subject, b.conn.Publish(subject, data))
}

// Store appends a message to the stream of its subject and returns when the
// stream has it. A retry must carry the same msgID: within the stream's window
// for duplicates it is then kept once. Another body must have another id, or
// it is taken for a duplicate and lost, so derive ids from content.
//
// A timeout leaves open whether the stream has the message: only the retry
// makes sure. A stream that this bus has ensured and that is gone is made
// again.
func (b *Bus) Store(ctx context.Context, subject, msgID string, data []byte) error {
	msg := nats.NewMsg(subject)
	msg.Data = data
	return b.store(ctx, msg, msgID)
}

func (b *Bus) store(ctx context.Context, msg *nats.Msg, msgID string) error {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	options := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if msgID != "" {
		options = append(options, jetstream.WithMsgID(msgID))
	}
	for try := 1; ; try++ {
		if !b.connected.Load() {
			return b.failure("store "+msg.Subject, nats.ErrDisconnected)
		}
		_, err := b.js.PublishMsg(ctx, msg, options...)
		if err == nil {
			return nil
		}
		if try > 1 || !errors.Is(err, jetstream.ErrNoStreamResponse) || b.restoreStreams(ctx) != nil {
			return b.failure("store "+msg.Subject, err)
		}
	}
}

// withCallTimeout bounds a context that has no deadline.
func withCallTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, callTimeout)
}
