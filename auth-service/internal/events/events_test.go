package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/events"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/outbox"
)

// postOffice takes letters, or fails with err.
type postOffice struct {
	err error
	got []auth.Mail
	ids []string
}

func (p *postOffice) Send(_ context.Context, id string, m auth.Mail) error {
	p.ids, p.got = append(p.ids, id), append(p.got, m)
	return p.err
}

// parts are a Publisher on an embedded broker, and what is around it.
type parts struct {
	*events.Publisher
	bus      *bus.Bus
	post     *postOffice
	registry *prometheus.Registry
}

func newParts(t *testing.T) parts {
	t.Helper()
	url, prefix := testenv.NATS(t)
	return partsOn(t, url, prefix)
}

func partsOn(t *testing.T, url, prefix string) parts {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "events-test"}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	p := parts{bus: b, post: &postOffice{}, registry: prometheus.NewRegistry()}
	if p.Publisher, err = events.NewPublisher(b, p.post, log, p.registry); err != nil {
		t.Fatal(err)
	}
	return p
}

// background runs f until the test ends, and reports its failure.
func background(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
		<-tick.C
	}
}

func accountEvent(t *testing.T, id, kind string) outbox.Message {
	t.Helper()
	payload, err := json.Marshal(contract.Event{SpecVersion: "1.0", ID: id, Type: kind, Subject: "u1", Data: contract.Account{ID: "u1", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Message{ID: "row-" + id, Topic: auth.TopicAccount, Payload: payload}
}

func TestPublisher_DeliverAccount(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		p := partsOn(t, url, prefix)
		background(t, p.KeepStream)
		first, second := accountEvent(t, "e1", contract.AccountRegistered), accountEvent(t, "e2", contract.AccountDeleted)
		eventually(t, "the stream", func() bool { return p.DeliverAccount(t.Context(), first) == nil })
		for _, m := range []outbox.Message{first, second, second} { // repeated, as an outbox may
			if err := p.DeliverAccount(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := p.bus.Replay(t.Context(), p.bus.Subjects().AccountStream(), func(data []byte) error {
			got = append(got, string(data))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0] != string(first.Payload) || got[1] != string(second.Payload) {
			t.Errorf("the stream holds %q", got)
		}
		last, found, err := p.bus.LastInStream(t.Context(), p.bus.Subjects().AccountStream(), p.bus.Subjects().Account(contract.AccountDeleted))
		if err != nil || !found || string(last) != string(second.Payload) {
			t.Errorf("on its own subject: %s, %v, %v", last, found, err)
		}
	})
}

func TestPublisher_DeliverAccount_refuses_what_is_no_event(t *testing.T) {
	p := newParts(t)
	background(t, p.KeepStream)
	for _, payload := range []string{``, `{`, `{}`, `{"id":"x","type":"other.thing"}`, `{"id":"","type":"account.deleted"}`, `{"id":"x","type":"account.>"}`} {
		err := p.DeliverAccount(t.Context(), outbox.Message{ID: "m", Payload: []byte(payload)})
		if err == nil || fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want a failure that sets it aside", payload, err)
		}
	}
}

func TestPublisher_without_a_broker_an_event_waits(t *testing.T) {
	p := partsOn(t, "nats://127.0.0.1:1", "nobody")
	background(t, p.KeepStream)
	err := p.DeliverAccount(t.Context(), accountEvent(t, "e1", contract.AccountRegistered))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want %s, which never parks a message", err, fault.Unavailable)
	}
	p.KeysChanged() // says so in the log and goes on
}

func letter(t *testing.T, template string) outbox.Message {
	t.Helper()
	payload, err := json.Marshal(auth.Mail{Template: template, To: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Message{ID: "m1", Topic: auth.TopicMail, Payload: payload}
}

func TestPublisher_DeliverMail(t *testing.T) {
	p := newParts(t)
	for _, c := range []struct {
		name string
		err  error
		kind fault.Kind // of what the outbox is told
	}{
		{"sent", nil, ""},
		{"unavailable", fault.New(fault.Unavailable, ""), fault.Unavailable},
		{"refused", fault.New(fault.ValidationFailed, ""), ""},
		{"failed", errors.New("451 greylisted"), fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.post.err = c.err
			if err := p.DeliverMail(t.Context(), letter(t, auth.MailVerifyEmail)); fault.KindOf(err) != c.kind {
				t.Errorf("got %v, want kind %q", err, c.kind)
			}
		})
	}
	if len(p.post.got) != 4 || p.post.ids[0] != "m1" || p.post.got[0].To != "ada@example.com" {
		t.Errorf("letters %v, ids %v", p.post.got, p.post.ids)
	}
	if err := p.DeliverMail(t.Context(), outbox.Message{ID: "m2", Payload: []byte(`{"to":5}`)}); err == nil || strings.Contains(err.Error(), "5") {
		t.Errorf("not a letter: %v", err)
	}
	if n := testutil.CollectAndCount(p.registry, "gatehouse_auth_mails_total"); n != 4 {
		t.Errorf("%d results are counted, want 4", n)
	}
}

func TestPublisher_S_R1_a_stolen_refresh_token_is_counted(t *testing.T) {
	p := newParts(t)
	if err := p.DeliverMail(t.Context(), letter(t, auth.MailTokenReused)); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP gatehouse_auth_refresh_reuse_total Refresh tokens that were used again: sessions ended as stolen.
# TYPE gatehouse_auth_refresh_reuse_total counter
gatehouse_auth_refresh_reuse_total 1
`
	if err := testutil.GatherAndCompare(p.registry, strings.NewReader(want), "gatehouse_auth_refresh_reuse_total"); err != nil {
		t.Error(err)
	}
}

// keyCopy counts how often it was read anew.
type keyCopy struct {
	mu    sync.Mutex
	reads int
}

func (k *keyCopy) Reload(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	return errors.New("the database is away")
}

func (k *keyCopy) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads
}

func TestPublisher_another_replica_hears_of_changed_keys(t *testing.T) {
	url, prefix := testenv.NATS(t)
	one, other := partsOn(t, url, prefix), partsOn(t, url, prefix)
	copied := &keyCopy{}
	background(t, func(ctx context.Context) error { return other.WatchKeys(ctx, copied) })
	for round := 1; round <= 2; round++ { // a failure to read does not end the watch
		eventually(t, "the news", func() bool {
			one.KeysChanged()
			return copied.count() >= round
		})
	}
}

func TestNewPublisher_registers_once(t *testing.T) {
	p := newParts(t)
	if _, err := events.NewPublisher(p.bus, p.post, slog.New(slog.DiscardHandler), p.registry); err == nil {
		t.Error("two of them count in one registry")
	}
}
