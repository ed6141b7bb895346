package manifests

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded"
)

// broker starts a server with deploy/nats/nats.conf and gives its address.
func broker(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"AUTH_NATS_PASSWORD", "GATEWAY_NATS_PASSWORD", "USER_NATS_PASSWORD"} {
		t.Setenv(name, password(name))
	}
	server, err := embedded.StartNATSWith(filepath.Join(root, "deploy/nats/nats.conf"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimPrefix(server.URL(), "nats://")
}

func password(name string) string { return "p" + strings.ToLower(name) }

// connect joins the broker as a service does.
func connect(t *testing.T, address, service string) *bus.Bus {
	t.Helper()
	return connectWithLog(t, address, service, io.Discard)
}

func connectWithLog(t *testing.T, address, service string, log io.Writer) *bus.Bus {
	t.Helper()
	variable := strings.ToUpper(strings.TrimSuffix(service, "-service")) + "_NATS_PASSWORD"
	b, err := bus.Connect(bus.Config{
		URL: "nats://" + service + ":" + password(variable) + "@" + address, Prefix: contract.DefaultPrefix, Name: service,
	}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	until(t, service+" is connected", func() bool { return b.Ready(t.Context()) == nil })
	return b
}

// until waits for a condition, and fails the test when it does not come true.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// heard is what a listener has heard.
type heard struct {
	mu       sync.Mutex
	messages []string
}

func (h *heard) take(m bus.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, m.Subject+" "+string(m.Data))
}

// Write takes a line of a log.
func (h *heard) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, string(line))
	return len(line), nil
}

// has reports whether a message was heard.
func (h *heard) has(message string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.messages {
		if m == message {
			return true
		}
	}
	return false
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.messages, "; ")
}

// listen has everything that comes on the subjects heard.
func listen(t *testing.T, b *bus.Bus, h *heard, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		if _, err := b.Subscribe(subject, h.take); err != nil {
			t.Fatal(err)
		}
	}
}

// must fails the test on the first of the errors.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// streams makes the streams of the auth-service.
func streams(t *testing.T, auth *bus.Bus) {
	t.Helper()
	s := auth.Subjects()
	must(t,
		auth.EnsureStream(t.Context(), bus.Stream{Name: s.RevocationStream(), Subjects: []string{s.Batches()}, MaxAge: time.Hour}),
		auth.EnsureStream(t.Context(), bus.Stream{Name: s.AccountStream(), Subjects: []string{s.Accounts()}}))
}

// replayed gives the messages of a stream, as b reads them.
func replayed(ctx context.Context, b *bus.Bus, stream string) ([]string, error) {
	var all []string
	err := b.Replay(ctx, stream, func(data []byte) error {
		all = append(all, string(data))
		return nil
	})
	return all, err
}

func TestNATS_everyServiceCanWork(t *testing.T) {
	address := broker(t)
	var log heard
	auth := connectWithLog(t, address, "auth-service", &log)
	gateway := connectWithLog(t, address, "gateway", &log)
	users := connectWithLog(t, address, "user-service", &log)
	s := auth.Subjects()
	ctx := t.Context()
	streams(t, auth)

	var atAuth, atGateway, atUsers heard
	listen(t, auth, &atAuth, s.Reports(), s.SessionUses(), s.Heads(), s.HeadsOfReplicas(), s.KeysChanged())
	listen(t, gateway, &atGateway, s.Batches(), s.Heads(), s.HeadsOf(5), s.KeysChanged())
	listen(t, users, &atUsers, s.KeysChanged())
	for _, subject := range []string{s.Repair(), s.Wake()} {
		if _, err := auth.Respond(subject, "", func(context.Context, []byte) ([]byte, error) { return []byte("answer"), nil }); err != nil {
			t.Fatal(err)
		}
	}
	must(t,
		auth.Store(ctx, s.Batches(), "1", []byte("batch")), auth.Publish(s.Heads(), []byte("head")), auth.Publish(s.HeadsOf(5), []byte("head")),
		auth.Publish(s.HeadsOfReplicas(), []byte("head")), auth.Publish(s.KeysChanged(), nil),
		auth.Store(ctx, s.Account(contract.AccountRegistered), "2", []byte("good")), auth.Store(ctx, s.Account(contract.AccountDeleted), "3", []byte("bad")),
		gateway.Publish(s.Report("node-1"), []byte("report")), gateway.Publish(s.SessionUses(), []byte("uses")))
	if _, found, err := auth.LastInStream(ctx, s.RevocationStream(), s.Batches()); err != nil || !found {
		t.Errorf("the auth-service looks at its stream: %v, %v", found, err)
	}
	if got, err := replayed(ctx, gateway, s.RevocationStream()); err != nil || len(got) != 1 {
		t.Errorf("a gateway reads the revocations: %v, %v", got, err)
	}
	for who, b := range map[string]*bus.Bus{s.Repair(): gateway, s.Wake(): auth} {
		if got, err := b.Request(ctx, who, nil); err != nil || string(got) != "answer" {
			t.Errorf("%s answers %q, %v", who, got, err)
		}
	}
	for _, c := range []struct {
		who  *heard
		what string
	}{
		{&atAuth, s.Report("node-1") + " report"}, {&atAuth, s.SessionUses() + " uses"}, {&atAuth, s.Heads() + " head"}, {&atAuth, s.HeadsOfReplicas() + " head"}, {&atAuth, s.KeysChanged() + " "},
		{&atGateway, s.Batches() + " batch"}, {&atGateway, s.Heads() + " head"}, {&atGateway, s.HeadsOf(5) + " head"}, {&atGateway, s.KeysChanged() + " "},
		{&atUsers, s.KeysChanged() + " "},
	} {
		until(t, c.what+" is heard", func() bool { return c.who.has(c.what) })
	}
	if _, found, err := users.LastInStream(ctx, s.AccountStream(), s.Account(contract.AccountRegistered)); err != nil || !found {
		t.Errorf("the user-service looks at the account stream: %v, %v", found, err)
	}
	consume(t, users, 2)
	until(t, "the user-service can set a message aside", func() bool {
		return users.Store(ctx, s.Dead("user-service-x"), "again", []byte("another")) == nil
	})
	for _, b := range []*bus.Bus{auth, gateway, users} {
		must(t, b.Ready(ctx)) // what the broker had to say has been heard
	}
	if strings.Contains(strings.ToLower(log.all()), "permission") {
		t.Errorf("something is refused that a service needs: %s", log.all())
	}
}

// consume has the user-service consume that many account events, of which it
// sets aside the bad ones.
func consume(t *testing.T, users *bus.Bus, events int) {
	t.Helper()
	s := users.Subjects()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Add(events)
	done := make(chan error, 1)
	go func() {
		done <- users.Consume(ctx, bus.Consumer{Stream: s.AccountStream(), Durable: "user-service-x", Filter: s.Accounts()}, func(_ context.Context, data []byte) error {
			all.Done()
			if string(data) == "bad" {
				return bus.Poison(errors.New("bad"))
			}
			return nil
		})
	}()
	all.Wait()
	cancel()
	must(t, <-done)
}

func TestNATS_F39_nobodyElseCanRevoke(t *testing.T) {
	address := broker(t)
	auth, gateway, users := connect(t, address, "auth-service"), connect(t, address, "gateway"), connect(t, address, "user-service")
	s := auth.Subjects()
	streams(t, auth)
	must(t, auth.Store(t.Context(), s.Batches(), "1", []byte("true")), auth.Store(t.Context(), s.Account(contract.AccountRegistered), "2", []byte("true")))

	var h heard
	listen(t, auth, &h, s.Reports(), s.Heads(), s.KeysChanged(), s.Wake(), s.Repair())
	listen(t, gateway, &h, s.Batches(), s.Heads(), s.KeysChanged())
	for _, c := range []struct {
		who      *bus.Bus
		subjects []string
	}{
		{gateway, []string{s.Batches(), s.Heads(), s.HeadsOf(5), s.HeadsOfReplicas(), s.Wake(), s.KeysChanged(), s.Account(contract.AccountDeleted), s.Dead("x")}},
		{users, []string{s.Batches(), s.Heads(), s.HeadsOf(5), s.HeadsOfReplicas(), s.Wake(), s.Repair(), s.KeysChanged(), s.Account(contract.AccountDeleted), s.Report("node-1"), s.SessionUses()}},
	} {
		for _, subject := range c.subjects {
			// The broker refuses it later, without an answer.
			must(t, c.who.Publish(subject, []byte("forged")))
		}
		must(t, c.who.Ready(t.Context())) // all of it has arrived
	}
	must(t, auth.Publish(s.Heads(), []byte("true"))) // behind the forged ones
	until(t, "the true head is heard", func() bool { return h.has(s.Heads() + " true") })
	if strings.Contains(h.all(), "forged") {
		t.Errorf("heard were %s", h.all())
	}
	if got, err := replayed(t.Context(), gateway, s.RevocationStream()); err != nil || len(got) != 1 || got[0] != "true" {
		t.Errorf("the revocation stream holds %v, %v", got, err)
	}
}

func TestNATS_F39_nobodyElseCanHarmOrReadStreams(t *testing.T) {
	address := broker(t)
	auth, gateway, users := connect(t, address, "auth-service"), connect(t, address, "gateway"), connect(t, address, "user-service")
	s := auth.Subjects()
	streams(t, auth)
	must(t, auth.Store(t.Context(), s.Batches(), "1", []byte("true")), auth.Store(t.Context(), s.Account(contract.AccountRegistered), "2", []byte("secret")))
	for name, try := range map[string]func(ctx context.Context) error{
		"a gateway deletes the revocations":        func(ctx context.Context) error { return gateway.DeleteStream(ctx, s.RevocationStream()) },
		"a gateway purges the revocations":         func(ctx context.Context) error { return gateway.PurgeStream(ctx, s.RevocationStream()) },
		"a gateway stores a revocation":            func(ctx context.Context) error { return gateway.Store(ctx, s.Batches(), "9", []byte("forged")) },
		"a gateway reads the accounts":             func(ctx context.Context) error { _, err := replayed(ctx, gateway, s.AccountStream()); return err },
		"the user-service deletes the accounts":    func(ctx context.Context) error { return users.DeleteStream(ctx, s.AccountStream()) },
		"the user-service reads the revocations":   func(ctx context.Context) error { _, err := replayed(ctx, users, s.RevocationStream()); return err },
		"the auth-service deletes the revocations": func(ctx context.Context) error { return auth.DeleteStream(ctx, s.RevocationStream()) },
		"the user-service makes a stream of its own": func(ctx context.Context) error {
			return users.EnsureStream(ctx, bus.Stream{Name: "X", Subjects: []string{"x"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for an answer that does not come
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := try(ctx); err == nil {
				t.Error("it could")
			}
		})
	}
	var h heard
	listen(t, gateway, &h, s.Accounts(), "_INBOX.user-service.>", "_INBOX.>", ">", "$JS.>")
	must(t, auth.Store(t.Context(), s.Account(contract.AccountDeleted), "3", []byte("secret")))
	consume(t, users, 2)
	must(t, gateway.Ready(t.Context()))
	if strings.Contains(h.all(), "secret") {
		t.Errorf("a gateway heard %s", h.all())
	}
}

func TestNATS_wrongPassword(t *testing.T) {
	address := broker(t)
	for _, user := range []string{"", "gateway:wrong@", "auth-service:" + password("GATEWAY_NATS_PASSWORD") + "@", "root:x@"} {
		b, err := bus.Connect(bus.Config{URL: "nats://" + user + address, Name: "stranger"}, slog.New(slog.DiscardHandler))
		if err != nil {
			continue // refused at once
		}
		if err := b.Ready(t.Context()); err == nil {
			t.Errorf("%q is let in", user)
		}
		b.Close()
	}
}
