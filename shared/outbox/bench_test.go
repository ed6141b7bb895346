package outbox_test

import (
	"context"
	"testing"
	"time"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/outbox"
)

// eachDatabase runs a benchmark on both dialects.
func eachDatabase(b *testing.B, run func(b *testing.B, url string)) {
	b.Run("sqlite", func(b *testing.B) { run(b, testenv.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { run(b, testenv.Postgres(b)) })
}

// Throughput of one relay with a backlog of 2,000 messages; messages/s is what
// matters.
func BenchmarkRelay_backlog(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		const messages = 2000
		db := open(b, url)
		var busy time.Duration
		for b.Loop() {
			add(b, db, "a", messages)
			done := make(chan struct{})
			left := make(chan struct{}, messages)
			for range messages - 1 {
				left <- struct{}{}
			}
			r := &outbox.Relay{DB: db, Deliver: func(context.Context, outbox.Message) error {
				select {
				case <-left:
				default:
					close(done)
				}
				return nil
			}}
			began := time.Now()
			stop := start(b, r)
			<-done
			stop()
			busy += time.Since(began)
		}
		b.ReportMetric(float64(messages*b.N)/busy.Seconds(), "messages/s")
	})
}

// From the wake-up after a commit to the delivery.
func BenchmarkRelay_wake(b *testing.B) {
	eachDatabase(b, func(b *testing.B, url string) {
		db := open(b, url)
		came := make(chan struct{}, 1)
		r := &outbox.Relay{DB: db, Deliver: func(context.Context, outbox.Message) error {
			came <- struct{}{}
			return nil
		}}
		start(b, r)
		var waited time.Duration
		for b.Loop() {
			add(b, db, "a", 1)
			began := time.Now()
			r.Wake()
			<-came
			waited += time.Since(began)
		}
		b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "µs/wake")
	})
}
