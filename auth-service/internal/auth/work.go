package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// work is one transaction of the Service: it collects what must be told once
// the transaction is committed. All times in it are the same.
type work struct {
	Tx
	svc     *Service
	caller  Caller
	now     time.Time
	revoked []string // ids of the revocations it wrote
	over    []string // users, sessions and tokens that it found revoked already
	queued  bool     // something is in the outbox
	verdict error    // to be returned although the transaction is committed
	broken  error    // first failure of the source of randomness
	ids     int      // made so far
	// counted are the verdicts on events that are bounded, by key. They outlive a
	// transaction that is run again, which counts nothing twice.
	counted map[string]Verdict
}

// do runs change in a transaction. After the commit it wakes the outbox and
// waits, if anything was revoked, until the gateways have applied it; likewise
// if change has found it revoked already, whatever it makes of that.
func (s *Service) do(ctx context.Context, c Caller, change func(w *work) error) (Propagation, error) {
	var done *work
	counted := map[string]Verdict{}
	err := s.store.InTx(ctx, func(tx Tx) error {
		done = &work{Tx: tx, svc: s, caller: c, now: s.now().UTC(), counted: counted}
		err := change(done)
		if done.broken != nil {
			return done.broken // whatever followed from it
		}
		return err
	})
	if err != nil {
		if done != nil && fault.KindOf(err) != fault.Unavailable {
			_, _ = s.settle(ctx, nil, done.over) // the caller learns what is wrong already
		}
		return Propagation{}, err
	}
	if done.queued {
		s.wake()
	}
	p, err := s.settle(ctx, done.revoked, done.over)
	if err != nil {
		return Propagation{}, err
	}
	return p, done.verdict
}

// fill fills p with random bytes. Its failure undoes the transaction.
func (w *work) fill(p []byte) {
	if _, err := io.ReadFull(w.svc.random, p); err != nil && w.broken == nil {
		w.broken = fmt.Errorf("draw random bytes: %w", err)
	}
}

// newID returns an id that is greater than those the transaction made before.
func (w *work) newID() string {
	var random [16]byte
	w.fill(random[:])
	w.ids++
	return uuid7(w.now, w.ids, random)
}

// record appends to the audit trail, filling in who calls and from where.
func (w *work) record(ctx context.Context, e AuditEvent) error {
	if err := w.AddAudit(ctx, w.filled(e)); err != nil {
		return fmt.Errorf("record %s: %w", e.Event, err)
	}
	return nil
}

// filled fills in when an event happened, who calls and from where.
func (w *work) filled(e AuditEvent) AuditEvent {
	e.ID, e.At = w.newID(), w.now
	if c := w.caller.Claims; c != nil {
		e.ActorID = c.Subject
		if e.SessionID == "" {
			e.SessionID = c.SessionID
		}
	}
	if e.Outcome == "" {
		e.Outcome = OutcomeSuccess
	}
	e.Address = plain(w.caller.Address, 64)
	e.UserAgent = plain(w.caller.UserAgent, maxUserAgent)
	e.RequestID = plain(w.caller.RequestID, 128)
	return e
}

// save writes a user whose account changed, and tells of each change.
func (w *work) save(ctx context.Context, u *User, events ...string) error {
	u.UpdatedAt = w.now
	for _, event := range events {
		u.Revision++
		if err := w.tell(ctx, *u, event); err != nil {
			return err
		}
	}
	if err := w.SaveUser(ctx, *u); err != nil {
		return fmt.Errorf("save user: %w", err)
	}
	return nil
}

// tell puts an account event into the outbox.
func (w *work) tell(ctx context.Context, u User, event string) error {
	id := w.newID()
	return w.enqueue(ctx, id, TopicAccount, contract.Event{
		SpecVersion: "1.0", ID: id, Source: "auth-service", Type: event, Subject: u.ID,
		Time: w.now, DataContentType: "application/json", Data: u.event(),
	})
}

// letter puts a letter into the outbox.
func (w *work) letter(ctx context.Context, m Mail) error {
	return w.enqueue(ctx, w.newID(), TopicMail, m)
}

func (w *work) enqueue(ctx context.Context, id, topic string, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode outbox message: %w", err)
	}
	if err := w.Enqueue(ctx, OutboxMessage{ID: id, Topic: topic, Payload: data}, w.now); err != nil {
		return fmt.Errorf("put %s message into outbox: %w", topic, err)
	}
	w.queued = true
	return nil
}

// note records an event in a transaction of its own, and returns the given
// outcome once that is done.
func (s *Service) note(ctx context.Context, c Caller, e AuditEvent, outcome error) error {
	_, err := s.do(ctx, c, func(w *work) error {
		if outcome != nil {
			e.Outcome = OutcomeFailure
		}
		return w.record(ctx, e)
	})
	if err != nil {
		return err
	}
	return outcome
}

const maxUserAgent = 256

// plain makes a client's text fit to be stored and shown: one line, bounded,
// valid UTF-8.
func plain(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
