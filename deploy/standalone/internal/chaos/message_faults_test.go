package chaos

import (
	"fmt"
	"time"

	"gatehouse.internal/shared/bus"
)

// insertRevocations is a statement that commits so many revocations of sessions
// that nobody uses.
func insertRevocations(n int) string {
	return fmt.Sprintf(`INSERT INTO revocations (id, kind, subject, min_version, cause, expires_at, created_at)
		SELECT gen_random_uuid()::text, 2, gen_random_uuid()::text, 0, 'logout',
			(extract(epoch FROM now()) * 1000000)::bigint + 1200000000, (extract(epoch FROM now()) * 1000000)::bigint + k
		FROM generate_series(1, %d) k`, n)
}

// messageFaults happen to the messages themselves.
func messageFaults() []scenario {
	return []scenario{
		{name: "F12 I1 I9 I12: a hundred thousand revocations at once", run: func(w *world) {
			w.fault("a burst", fault{begin: func() error { return w.SQL(w.ctx, insertRevocations(100_000)) }, last: 2 * enough})
		}},
		{name: "F13 I4: everything is published again", run: func(w *world) {
			w.wait(time.Second)
			for range 3 {
				w.fault("published anew", fault{begin: func() error {
					return w.SQL(w.ctx, "UPDATE revocation_state SET published = 0 WHERE id = 1")
				}, last: 1500 * time.Millisecond})
			}
		}},
		{name: "F16 F17 F39 I8 I9: what nobody has signed, or in a format of tomorrow, has no effect", short: true, run: func(w *world) {
			w.fault("forged messages", fault{begin: func() error { return w.publish(forgeries) }, last: time.Second})
		}},
		{name: "F40 I5 I8: old batches and heads come again", run: func(w *world) {
			w.wait(2 * time.Second)
			for range 3 {
				w.fault("replayed messages", fault{begin: func() error { return w.publish(w.overheard) }, last: time.Second})
			}
		}},
		{name: "F28 I3 I12: a long transaction commits after later ones", run: func(w *world) {
			for range 3 {
				commit, err := w.Begin(w.ctx, insertRevocations(3))
				w.must(err)
				w.fault("an open transaction", fault{end: commit, last: 1500 * time.Millisecond})
			}
		}},
	}
}

// message is one for a subject.
type message struct {
	subject string
	data    []byte
}

// publish sends messages as somebody would who has the broker's password.
func (w *world) publish(what func(b *bus.Bus) ([]message, error)) error {
	b, err := w.Bus(w.ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	messages, err := what(b)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := b.Publish(m.subject, m.data); err != nil {
			return err
		}
	}
	return nil
}

// forgeries are messages that look more and more like true ones.
func forgeries(b *bus.Bus) ([]message, error) {
	kid := "forged"
	sealed := append([]byte{1, byte(len(kid))}, kid...)
	sealed = append(sealed, make([]byte, 64)...)
	var out []message
	for _, subject := range []string{b.Subjects().Batches(), b.Subjects().Heads()} {
		for _, data := range [][]byte{
			nil, {0}, {2}, []byte("{}"), []byte("\x01\xff"), sealed, append(sealed, `{"v":1,"epoch":99,"last":1}`...), make([]byte, 900<<10),
		} {
			out = append(out, message{subject, data})
		}
	}
	return out, nil
}

// overheard are the true batches of the stream, and the heads of half a second.
func (w *world) overheard(b *bus.Bus) ([]message, error) {
	var out []message
	err := b.Replay(w.ctx, b.Subjects().RevocationStream(), func(data []byte) error {
		out = append(out, message{b.Subjects().Batches(), data})
		return nil
	})
	if err != nil {
		return nil, err
	}
	heads := make(chan []byte, 1024)
	sub, err := b.Subscribe(b.Subjects().Heads(), func(m bus.Message) {
		select {
		case heads <- m.Data:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	w.wait(500 * time.Millisecond)
	sub.Stop()
	close(heads)
	for data := range heads {
		out = append(out, message{b.Subjects().Heads(), data})
	}
	return out, nil
}
