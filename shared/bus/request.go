package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"gatehouse.internal/shared/fault"
)

// Bounds of Respond.
const (
	maxResponders  = 32
	respondTimeout = 10 * time.Second
)

// Request asks and waits for the answer, five seconds if ctx has no deadline.
// Nobody there to answer is fault.Unavailable at once. A fault which the
// responder returned comes back as that fault.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	if !b.connected.Load() {
		return nil, b.failure("request "+subject, nats.ErrDisconnected)
	}
	answer, err := b.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, b.failure("request "+subject, err)
	}
	if text := answer.Header.Get(headerFault); text != "" {
		return nil, decodeFault(text)
	}
	return answer.Data, nil
}

// Respond answers requests. Of the responders with the same queue name one
// gets each request; with an empty name all do. Up to 32 requests are handled
// at once, each for ten seconds at most; further ones wait. handle returns
// ErrNoReply to stay silent. Stopping ends the handlers' context and waits for
// them.
func (b *Bus) Respond(subject, queue string, handle func(ctx context.Context, data []byte) ([]byte, error)) (Subscription, error) {
	ctx, cancel := context.WithCancel(context.Background())
	slots := make(chan struct{}, maxResponders)
	var work sync.WaitGroup
	s, err := b.listen(listener{
		subject: subject,
		queue:   queue,
		handle: func(stop context.Context, msg *nats.Msg) {
			select {
			case slots <- struct{}{}:
			case <-stop.Done():
				return
			}
			work.Go(func() {
				defer func() { <-slots }()
				b.respond(ctx, msg, handle)
			})
		},
		drain: func() {
			cancel()
			work.Wait()
		},
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return s, nil
}

func (b *Bus) respond(ctx context.Context, msg *nats.Msg, handle func(ctx context.Context, data []byte) ([]byte, error)) {
	ctx, cancel := context.WithTimeout(ctx, respondTimeout)
	defer cancel()
	var data []byte
	err := b.guard(msg.Subject, func() (err error) {
		data, err = handle(ctx, msg.Data)
		return err
	})
	if errors.Is(err, ErrNoReply) || msg.Reply == "" {
		return
	}
	answer := nats.NewMsg(msg.Reply)
	answer.Data = data
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			b.log.Error("request failed", "subject", msg.Subject, "error", err)
		}
		answer.Data = nil
		answer.Header.Set(headerFault, encodeFault(err))
	}
	if err := b.conn.PublishMsg(answer); err != nil {
		b.log.Warn("answer not sent", "subject", msg.Subject, "error", err)
	}
}
