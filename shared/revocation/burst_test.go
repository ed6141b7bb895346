package revocation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/bits"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// feed does what a sequencer does, for revocations of the sessions 1, 2, 3 and
// so on, in the order of their numbers.
type feed struct {
	t        testing.TB
	bus      *bus.Bus
	issuer   issuer
	last     atomic.Uint64 // the newest number given
	furthest atomic.Uint64 // how far behind a node has said it was, at most
	repairs  atomic.Int64
}

// follow starts a feed and a node around a broker of their own.
func follow(t testing.TB, prepare func(v *View)) (*feed, *View) {
	t.Helper()
	url, prefix := testenv.NATS(t)
	connect := func(name string) *bus.Bus {
		b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: name}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	f := &feed{t: t, bus: connect("auth-service"), issuer: newIssuer(t, "e1")}
	_, err := f.bus.Subscribe(f.bus.Subjects().Reports(), func(m bus.Message) { f.report(m.Data) })
	f.must(err)
	_, err = f.bus.Respond(f.bus.Subjects().Repair(), "", f.repair)
	f.must(err)

	view := NewView("node", f.issuer, time.Now)
	if prepare != nil {
		prepare(view)
	}
	follower := &Follower{View: view, Bus: connect("gateway"), Log: slog.New(slog.DiscardHandler), Now: time.Now}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- follower.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		f.must(<-ended)
	})
	f.until("the node is fresh", func() bool { age, known := view.Progress.Age(); return known && age < SoftLimit })
	return f, view
}

func (f *feed) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *feed) until(what string, holds func() bool) {
	f.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			f.t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// report echoes the nonce of a node's report, and notes how far behind it is.
func (f *feed) report(data []byte) {
	last := f.last.Load()
	var r contract.Report
	if err := json.Unmarshal(data, &r); err != nil {
		f.t.Error(err)
		return
	}
	f.furthest.Store(max(f.furthest.Load(), Position{r.Epoch, r.Applied, r.Head}.Behind()))
	head := f.issuer.head(f.t, contract.Head{V: contract.HeadVersion, Epoch: 1, Last: last, Oldest: 1, Nonces: map[string]string{r.Node: r.Nonce}})
	_ = f.bus.Publish(f.bus.Subjects().Heads(), head) // the next report brings another
}

func (f *feed) repair(_ context.Context, data []byte) ([]byte, error) {
	f.repairs.Add(1)
	var r contract.RepairRequest
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	return f.batch(r.From, min(r.To, r.From+contract.MaxBatchEntries-1, f.last.Load())), nil
}

// batch seals the numbers from..to.
func (f *feed) batch(from, to uint64) []byte {
	b := contract.Batch{Epoch: 1, First: from, Oldest: 1, Committed: time.Now(), Entries: make([]contract.Entry, 0, to+1-from)}
	for n := from; n <= to; n++ {
		b.Entries = append(b.Entries, contract.Entry{Kind: contract.RevokeSession, Subject: id(int(n)), ExpiresAt: time.Now().Add(time.Hour)})
	}
	return f.issuer.batch(&b)
}

// burst makes the batches of so many numbers that follow the last.
func (f *feed) burst(numbers, size uint64) [][]byte {
	var out [][]byte
	for first := f.last.Load() + 1; numbers > 0; {
		n := min(numbers, size)
		out = append(out, f.batch(first, first+n-1))
		first, numbers = first+n, numbers-n
	}
	return out
}

func TestFollower_I9_a_burst_that_is_too_much_is_told_of_and_made_up_for(t *testing.T) {
	const numbers = 12_000 // with a message each, more than may wait for a subscriber
	gate, held := make(chan struct{}), sync.Once{}
	f, view := follow(t, func(v *View) {
		v.Applied = func([]contract.Entry) { held.Do(func() { <-gate }) }
	})
	f.send(f.burst(numbers, 1), numbers)
	f.until("the node says how far behind it is", func() bool { return f.furthest.Load() >= numbers-1 && view.Progress.Position().Behind() >= numbers-1 })
	checker := &Checker{View: view}
	if err := checker.Check(t.Context(), claims(numbers+1, numbers+2, numbers+3, 1), time.Minute); err != nil {
		t.Errorf("a request meanwhile: %v", err)
	}
	close(gate)
	f.until("all is applied", func() bool { return view.Progress.Position().Applied >= numbers })
	if f.repairs.Load() == 0 {
		t.Error("no number was asked for: the burst was not too much")
	}
	if n := view.Set.Len(); n != numbers {
		t.Errorf("%d entries, want %d", n, numbers)
	}
	sent := time.Now()
	f.until("the view is fresh again", func() bool { age, known := view.Progress.Age(); return known && age < time.Since(sent) })
}

// BenchmarkFollower_burst feeds a node 100,000 revocations at once: through the
// stream, in full batches as a sequencer makes them of a backlog, and with a
// message each, which is more than the subscription holds. It prints how long
// requests take to be checked meanwhile, beside those of an idle node, how far
// behind the node has said it was, and by how much the heap grew, that of the
// broker included.
func BenchmarkFollower_burst(b *testing.B) {
	const numbers = 100_000
	for _, size := range []uint64{contract.MaxBatchEntries, 1} {
		b.Run(fmt.Sprintf("batches_of_%d", size), func(b *testing.B) {
			f, view := follow(b, nil)
			if size > 1 { // a disk takes minutes to sync a message for each number
				f.must(f.bus.EnsureStream(b.Context(), bus.Stream{Name: f.bus.Subjects().RevocationStream(), Subjects: []string{f.bus.Subjects().Batches()}}))
			}
			var calm, busy checkTimes
			var applied time.Duration
			heap := 0.0
			for b.Loop() {
				messages := f.burst(numbers, size)
				runtime.GC()
				stop := calm.watch(view)
				time.Sleep(time.Second)
				stop()
				before := heapBytes()
				stop = busy.watch(view)
				began, last := time.Now(), f.last.Load()+numbers
				f.send(messages, last)
				f.until("all is applied", func() bool {
					heap = max(heap, heapBytes()-before)
					return view.Progress.Position().Applied >= last
				})
				applied += time.Since(began)
				stop()
			}
			b.ReportMetric(applied.Seconds()/float64(b.N), "applied-s")
			calm.print(b, "idle")
			busy.print(b, "burst")
			b.ReportMetric(float64(f.furthest.Load()), "behind-max")
			b.ReportMetric(float64(f.repairs.Load())/float64(b.N), "repairs")
			b.ReportMetric(heap/(1<<20), "heap-MiB")
			b.ReportMetric(0, "ns/op") // of no meaning
		})
	}
}

// send publishes messages as fast as the broker takes them; a stream that is
// there keeps them.
func (f *feed) send(messages [][]byte, last uint64) {
	f.last.Store(last)
	for _, message := range messages {
		f.must(f.bus.Publish(f.bus.Subjects().Batches(), message))
	}
	f.must(f.bus.Ready(f.t.Context()))
}

// checkTimes counts checks by how long they took: by the power of two, and by
// the four bits below it.
type checkTimes struct {
	counts [64 * 16]int
	all    int
	worst  time.Duration
}

// watch checks a token again and again until the returned function is called.
func (c *checkTimes) watch(v *View) (stop func()) {
	var ended atomic.Bool
	done := make(chan struct{})
	checker, token := &Checker{View: v}, claims(1<<30, 1<<30+1, 1<<30+2, 1)
	go func() {
		defer close(done)
		for !ended.Load() {
			began := time.Now()
			_ = checker.Check(context.Background(), token, time.Hour)
			c.add(time.Since(began))
			if c.all%64 == 0 {
				runtime.Gosched()
			}
		}
	}()
	return func() {
		ended.Store(true)
		<-done
	}
}

func (c *checkTimes) add(d time.Duration) {
	n := uint64(max(16, d.Nanoseconds()))
	power := bits.Len64(n) - 1
	c.counts[power*16+int(n>>(power-4)&15)]++
	c.all++
	c.worst = max(c.worst, d)
}

// at gives the time within which a part of the checks ended, in microseconds.
func (c *checkTimes) at(part float64) float64 {
	left := int(part * float64(c.all))
	for i, n := range c.counts {
		if left -= n; left < 0 {
			return math.Ldexp(1+float64(i%16+1)/16, i/16) / 1000
		}
	}
	return float64(c.worst.Nanoseconds()) / 1000
}

func (c *checkTimes) print(b *testing.B, name string) {
	b.ReportMetric(c.at(0.99), name+"-p99-µs")
	b.ReportMetric(c.at(0.9999), name+"-p99.99-µs")
	b.ReportMetric(float64(c.worst.Nanoseconds())/1000, name+"-max-µs")
}

func heapBytes() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}
