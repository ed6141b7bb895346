package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func TestRequest(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		a, b := connect(t, url, prefix), connect(t, url, prefix)
		subject := prefix + ".ask"
		full := &fault.Error{
			Kind: fault.ValidationFailed, Detail: "no\r\nInjected: header ü",
			Fields: []fault.Field{{Field: "email", Message: "is bad"}}, RetryAfter: 1500 * time.Millisecond,
			Extra: map[string]any{"more": "x"},
		}
		answers := map[string]error{
			"good": nil, "fault": full, "internal": errors.New("secret"),
			"wrapped": errors.Join(errors.New("context"), fault.New(fault.Conflict, "taken")), "silent": bus.ErrNoReply,
		}
		sub, err := b.Respond(subject, "q", func(_ context.Context, data []byte) ([]byte, error) {
			if string(data) == "panic" {
				panic("secret")
			}
			return append([]byte("re: "), data...), answers[string(data)]
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(text string) ([]byte, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			return a.Request(ctx, subject, []byte(text))
		}
		if data, err := ask("good"); err != nil || string(data) != "re: good" {
			t.Errorf("good: %q, %v", data, err)
		}
		for text, want := range map[string]*fault.Error{
			"fault": full, "internal": {Kind: fault.Internal}, "panic": {Kind: fault.Internal}, "wrapped": {Kind: fault.Conflict, Detail: "taken"},
		} {
			_, err := ask(text)
			got, ok := errors.AsType[*fault.Error](err)
			if !ok {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(fault.Error{})); diff != "" {
				t.Errorf("%s: want -, got +:\n%s", text, diff)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := a.Request(ctx, subject, []byte("silent")); !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silent: %v", err)
		}
		sub.Stop()
		within(t, time.Second, "a request that nobody answers", func() {
			if _, err := ask("good"); !fault.Is(err, fault.Unavailable) {
				t.Errorf("nobody: %v", err)
			}
		})
	})
}

func TestRequest_aCanceledContextIsNotAnAbsentServer(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	if _, err := b.Respond("s", "", func(context.Context, []byte) ([]byte, error) { return nil, bus.ErrNoReply }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := b.Request(ctx, "s", nil); !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestRespond_handlesRequestsSideBySideAndStopWaits(t *testing.T) {
	url, prefix := testenv.NATS(t)
	a, b := connect(t, url, prefix), connect(t, url, prefix)
	const together = 32
	var here sync.WaitGroup
	here.Add(together)
	var ended recorder
	sub, err := b.Respond("s", "", func(ctx context.Context, data []byte) ([]byte, error) {
		if string(data) == "hang" {
			<-ctx.Done()
			ended.add("hang")
			return nil, ctx.Err()
		}
		here.Done()
		here.Wait() // holds only if all are handled at once
		return data, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	for range together {
		work.Go(func() {
			if _, err := a.Request(context.Background(), "s", nil); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for range 2 * together { // more than are handled at once
		if err := a.Publish("s", []byte("hang")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "Stop", sub.Stop)
	if n := len(ended.all()); n > together {
		t.Errorf("%d were handled at once", n)
	}
}
