package bus_test

import (
	"sync/atomic"
	"testing"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestSubscribe_getsMessagesInOrder(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		a, b := connect(t, url, prefix), connect(t, url, prefix)
		var got recorder
		sub, err := a.Subscribe(a.Subjects().Reports(), func(m bus.Message) { got.add(m.Subject + " " + string(m.Data)) })
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"1", "2", "3"} {
			if err := b.Publish(b.Subjects().Report("n"), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "three messages", func() bool { return len(got.all()) == 3 })
		for i, want := range []string{" 1", " 2", " 3"} {
			if got.all()[i] != a.Subjects().Report("n")+want {
				t.Errorf("message %d is %q", i, got.all()[i])
			}
		}
		sub.Stop()
		sub.Stop()
		if err := b.Publish(b.Subjects().Report("n"), nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(got.all()); n != 3 {
			t.Errorf("%d messages after Stop", n)
		}
	})
}

func TestSubscribe_dropsOfASlowHandlerAreCounted(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	release := make(chan struct{})
	var handled atomic.Int64
	sub, err := b.Subscribe("slow", func(bus.Message) {
		<-release
		handled.Add(1)
	})
	if err != nil {
		t.Fatal(err)
	}
	const sent = 10000
	for range sent {
		if err := b.Publish("slow", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "drops are counted", func() bool { return sub.Dropped() > 0 })
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropped := sub.Dropped()
	close(release)
	eventually(t, "the others are handled", func() bool { return handled.Load() == int64(sent-dropped) })
	if err := b.Publish("slow", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it goes on", func() bool { return handled.Load() == int64(sent-dropped)+1 })
	sub.Stop()
	if sub.Dropped() != dropped {
		t.Errorf("dropped %d, and %d after Stop", dropped, sub.Dropped())
	}
}

func TestSubscribe_aPanicDoesNotEndIt(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	var got recorder
	if _, err := b.Subscribe("s", func(m bus.Message) {
		if string(m.Data) == "bad" {
			panic("bad")
		}
		got.add(string(m.Data))
	}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"bad", "good"} {
		if err := b.Publish("s", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the good one", func() bool { return got.has("good") })
}
