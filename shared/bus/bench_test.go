package bus_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
)

// eachServer runs a benchmark on the embedded server, which syncs every message
// to disk, and on the real one of this machine.
func eachServer(b *testing.B, run func(b *testing.B, bs *bus.Bus)) {
	b.Run("embedded", func(b *testing.B) {
		url, prefix := testenv.NATS(b)
		run(b, connect(b, url, prefix))
	})
	b.Run("real", func(b *testing.B) {
		url, prefix := testenv.RealNATS(b)
		run(b, connect(b, url, prefix))
	})
}

// From Publish to the handler of a subscriber and back: two core messages.
func BenchmarkPublish_thereAndBack(b *testing.B) {
	eachServer(b, func(b *testing.B, bs *bus.Bus) {
		came := make(chan struct{}, 1)
		if _, err := bs.Subscribe("there", func(bus.Message) {
			if err := bs.Publish("back", nil); err != nil {
				b.Error(err)
			}
		}); err != nil {
			b.Fatal(err)
		}
		if _, err := bs.Subscribe("back", func(bus.Message) { came <- struct{}{} }); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := bs.Publish("there", []byte("x")); err != nil {
				b.Fatal(err)
			}
			<-came
		}
	})
}

// One message at a time, each acknowledged by the stream.
func BenchmarkStore(b *testing.B) {
	eachServer(b, func(b *testing.B, bs *bus.Bus) {
		accounts(b, bs)
		subject, data, n := bs.Subjects().Account("account.test"), make([]byte, 256), 0
		for b.Loop() {
			n++
			if err := bs.Store(context.Background(), subject, strconv.Itoa(n), data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Sixteen at a time, as a relay stores them.
func BenchmarkStore_sixteenAtOnce(b *testing.B) {
	eachServer(b, func(b *testing.B, bs *bus.Bus) {
		accounts(b, bs)
		subject, data := bs.Subjects().Account("account.test"), make([]byte, 256)
		var n atomic.Int64
		b.SetParallelism(8) // times two processors
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := bs.Store(context.Background(), subject, strconv.FormatInt(n.Add(1), 10), data); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// From Store to the handler of a durable consumer.
func BenchmarkConsume_fromStoreToHandler(b *testing.B) {
	eachServer(b, func(b *testing.B, bs *bus.Bus) {
		accounts(b, bs)
		came := make(chan struct{}, 1)
		consume(b, bs, bus.Consumer{}, func(context.Context, []byte) error {
			came <- struct{}{}
			return nil
		})
		subject, n := bs.Subjects().Account("account.test"), 0
		for b.Loop() {
			n++
			if err := bs.Store(context.Background(), subject, strconv.Itoa(n), nil); err != nil {
				b.Fatal(err)
			}
			<-came
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	eachServer(b, func(b *testing.B, bs *bus.Bus) {
		if _, err := bs.Respond("ask", "", func(_ context.Context, data []byte) ([]byte, error) { return data, nil }); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := bs.Request(context.Background(), "ask", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
