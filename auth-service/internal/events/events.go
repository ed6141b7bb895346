// Package events tells others what has changed, once it is committed: account
// events into their stream, letters to their readers, and changes of the key
// set to whoever keeps a copy of it. It also hears of key changes that another
// replica has made.
//
// It decides where a message of the outbox goes. It promises to succeed only
// when the message has arrived, and to carry the id that the message had at
// its commit, so that a repetition can be told from news. It refuses what is
// not of the agreed form; the outbox sets that aside.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/outbox"
)

// Mailer hands one letter to a mail server. Its failures are of kind
// fault.Unavailable if the server cannot be reached, and of kind
// fault.ValidationFailed if the recipient is refused for good. They name no
// recipient.
type Mailer interface {
	Send(ctx context.Context, id string, m auth.Mail) error
}

// Publisher delivers the messages of the outbox.
type Publisher struct {
	bus   *bus.Bus
	mail  Mailer
	log   *slog.Logger
	mails *prometheus.CounterVec
	reuse prometheus.Counter
}

// NewPublisher returns a Publisher that counts in the registry.
func NewPublisher(b *bus.Bus, mail Mailer, log *slog.Logger, registry prometheus.Registerer) (*Publisher, error) {
	p := &Publisher{
		bus: b, mail: mail, log: log,
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_auth_mails_total", Help: "Letters by template and by what became of them.",
		}, []string{"template", "result"}),
		reuse: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_auth_refresh_reuse_total", Help: "Refresh tokens that were used again: sessions ended as stolen.",
		}),
	}
	if err := errors.Join(registry.Register(p.mails), registry.Register(p.reuse)); err != nil {
		return nil, fmt.Errorf("count mails: %w", err)
	}
	return p, nil
}

// KeepStream makes sure that the stream of account events exists, and waits
// until ctx ends. The stream keeps every event: whoever keeps a picture of the
// accounts can begin again from the oldest one. One that is deleted later is
// made again by the next event.
func (p *Publisher) KeepStream(ctx context.Context) error {
	subjects := p.bus.Subjects()
	stream := bus.Stream{Name: subjects.AccountStream(), Subjects: []string{subjects.Accounts()}}
	retry := time.NewTicker(streamRetry)
	defer retry.Stop()
	for warned := false; ; {
		err := p.bus.EnsureStream(ctx, stream)
		if err == nil {
			<-ctx.Done()
			return nil
		}
		if !warned && ctx.Err() == nil {
			p.log.WarnContext(ctx, "stream of account events not there yet", "error", err)
			warned = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry.C:
		}
	}
}

// streamRetry is how long to wait for a broker that cannot keep the stream.
const streamRetry = 500 * time.Millisecond

// DeliverAccount stores an account event in its stream.
func (p *Publisher) DeliverAccount(ctx context.Context, m outbox.Message) error {
	var event struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(m.Payload, &event); err != nil {
		return fmt.Errorf("deliver account event: it is not an event in JSON (%T)", err)
	}
	if event.ID == "" || !strings.HasPrefix(event.Type, "account.") || strings.ContainsAny(event.Type, " *>") {
		return errors.New("deliver account event: it has no id or no type of an account event")
	}
	if err := p.bus.Store(ctx, p.bus.Subjects().Account(event.Type), event.ID, m.Payload); err != nil {
		return fmt.Errorf("deliver account event: %w", err)
	}
	return nil
}

// DeliverMail hands a letter to the mail server. One whose recipient is refused
// for good is done with: nobody can do anything about it.
func (p *Publisher) DeliverMail(ctx context.Context, m outbox.Message) error {
	var letter auth.Mail
	if err := json.Unmarshal(m.Payload, &letter); err != nil {
		return fmt.Errorf("deliver mail: it is not a letter in JSON (%T)", err)
	}
	if letter.Template == auth.MailNothing {
		return nil
	}
	err := p.mail.Send(ctx, m.ID, letter)
	p.mails.WithLabelValues(letter.Template, result(err)).Inc()
	if fault.Is(err, fault.ValidationFailed) {
		p.log.WarnContext(ctx, "letter refused for good", "id", m.ID, "template", letter.Template, "error", err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("deliver mail: %w", err)
	}
	if letter.Template == auth.MailTokenReused {
		p.reuse.Inc()
	}
	return nil
}

func result(err error) string {
	switch {
	case err == nil:
		return "sent"
	case fault.Is(err, fault.ValidationFailed):
		return "refused"
	case fault.Is(err, fault.Unavailable):
		return "unavailable"
	default:
		return "failed"
	}
}

// RolesChanged tells whoever keeps a copy of the role table to fetch it anew.
// It tries until the broker has it, or ctx ends, and again after every outage of
// the broker: whoever heard nothing looks by itself now and then.
func (p *Publisher) RolesChanged(ctx context.Context) error {
	due := make(chan struct{}, 1)
	due <- struct{}{}
	p.bus.OnReconnect(func() {
		select {
		case due <- struct{}{}:
		default:
		}
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due:
		}
		if err := p.bus.Publish(p.bus.Subjects().RolesChanged(), nil); err != nil {
			p.log.DebugContext(ctx, "a changed role table was not announced; gateways find it by themselves", "error", err)
		}
	}
}

// KeysChanged tells whoever keeps a copy of the key set to fetch it anew. Who
// does not hear it fetches it in time all the same.
func (p *Publisher) KeysChanged() {
	if err := p.bus.Publish(p.bus.Subjects().KeysChanged(), nil); err != nil {
		p.log.Warn("key change not announced", "error", err)
	}
}

// Keys are the issuer's keys as this replica holds them.
type Keys interface {
	// Reload reads them from where all replicas keep them.
	Reload(ctx context.Context) error
}

// WatchKeys has the keys read anew whenever a replica says that it has changed
// them, until ctx ends.
func (p *Publisher) WatchKeys(ctx context.Context, keys Keys) error {
	sub, err := p.bus.Subscribe(p.bus.Subjects().KeysChanged(), func(bus.Message) {
		if err := keys.Reload(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("changed keys not read", "error", err)
		}
	})
	if err != nil {
		return fmt.Errorf("watch for changed keys: %w", err)
	}
	defer sub.Stop()
	<-ctx.Done()
	return nil
}
