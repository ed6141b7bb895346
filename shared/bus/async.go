package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Receipt is a stream's word that it has a message.
type Receipt struct {
	Number    uint64 // of the message, as the broker counts; it rises as long as the stream loses nothing at its end
	Duplicate bool   // the stream had a message of that id already, and this is its number
}

// StoreAsync sends a message to the stream of its subject, and to whoever
// listens now, without waiting for the stream. Messages go out in the order of
// the calls. An error means that it was not sent. The returned function waits
// until the stream has acknowledged the message; an error of it leaves open
// whether the stream has the message, as with Store, and the same rule for
// msgID holds.
func (b *Bus) StoreAsync(subject, msgID string, data []byte) (acknowledged func(ctx context.Context) (Receipt, error), err error) {
	if !b.connected.Load() {
		return nil, b.failure("store "+subject, nats.ErrDisconnected)
	}
	msg := nats.NewMsg(subject)
	msg.Data = data
	future, err := b.js.PublishMsgAsync(msg, jetstream.WithMsgID(msgID))
	if err != nil {
		return nil, b.failure("store "+subject, err)
	}
	return func(ctx context.Context) (Receipt, error) {
		select {
		case ack := <-future.Ok():
			return Receipt{ack.Sequence, ack.Duplicate}, nil
		case err := <-future.Err():
			return Receipt{}, b.failure("store "+subject, err)
		case <-ctx.Done():
			return Receipt{}, b.failure("store "+subject, ctx.Err())
		}
	}, nil
}
