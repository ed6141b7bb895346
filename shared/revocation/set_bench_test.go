package revocation

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// entryMix makes entries as they come: of a hundred, 45 tokens, 45 sessions and
// 10 users.
type entryMix struct{ r *rand.Rand }

func newEntryMix() entryMix { return entryMix{rand.New(rand.NewPCG(1, 2))} }

func (m entryMix) entry(n int) contract.Entry {
	e := contract.Entry{Kind: contract.RevokeToken, Subject: randomID(m.r), ExpiresAt: start.Add(time.Duration(n%900) * time.Second)}
	switch {
	case n%10 == 0:
		e.Kind, e.MinVersion = contract.RevokeUser, 2
	case n%2 == 0:
		e.Kind = contract.RevokeSession
	}
	return e
}

// user makes entries of users only, the largest there are.
func (m entryMix) user(n int) contract.Entry {
	e := m.entry(n)
	e.Kind, e.MinVersion = contract.RevokeUser, 2
	return e
}

func randomID(r *rand.Rand) contract.SubjectID {
	var out contract.SubjectID
	binary.LittleEndian.PutUint64(out[:8], r.Uint64())
	binary.LittleEndian.PutUint64(out[8:], r.Uint64())
	return out
}

// BenchmarkSet_Check looks up jti, sid, user version and key of tokens in a
// view of a million entries, beside one look-up in a plain map of that size.
// No two tokens of a million are the same, so that the look-ups miss the
// processor's caches as those of strangers do.
func BenchmarkSet_Check(b *testing.B) {
	const size = 1_000_000
	mix := newEntryMix()
	s := NewSet()
	plain := make(map[contract.SubjectID]uint32, size)
	known := make([]contract.Refs, size)
	for n := range size {
		e := mix.entry(n)
		s.Add(&e)
		plain[e.Subject] = 1
		known[n] = contract.Refs{Token: e.Subject, Session: e.Subject, User: e.Subject}
	}
	strangers := make([]contract.Refs, size)
	for n := range strangers {
		strangers[n] = contract.Refs{Token: randomID(mix.r), Session: randomID(mix.r), User: randomID(mix.r)}
	}
	view := func(refs []contract.Refs, want Verdict) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			c := &contract.Claims{KeyID: "k1", Version: 1}
			for i := 0; b.Loop(); i++ {
				c.Refs = refs[i%size]
				if got := s.Check(c); got != want {
					b.Fatalf("verdict %d, want %d", got, want)
				}
			}
		}
	}
	b.Run("view, four look-ups, good", view(strangers, Good))
	b.Run("view, revoked", view(known, Revoked))
	b.Run("plain map, one look-up", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, found := plain[strangers[i%size].Session]; found {
				b.Fatal("found what is not there")
			}
		}
	})
}

// BenchmarkSet_Memory gives the bytes of heap per entry of a view, after a
// collection: at the size, and at the worst size on the way there, which is
// just after the view has grown.
func BenchmarkSet_Memory(b *testing.B) {
	mix := newEntryMix()
	for _, c := range []struct {
		name  string
		size  int
		entry func(n int) contract.Entry
	}{{"mixed, 1M", 1_000_000, mix.entry}, {"users, 1M", 1_000_000, mix.user}, {"mixed, 10M", 10_000_000, mix.entry}} {
		b.Run(c.name, func(b *testing.B) {
			var steady, worst float64
			for b.Loop() {
				before := heap()
				s := NewSet()
				worst = 0
				for n := range c.size {
					e := c.entry(n)
					s.Add(&e)
					if filled := n + 1; filled >= c.size/4 && (filled%(c.size/40) == 0) {
						steady = float64(heap()-before) / float64(filled)
						worst = max(worst, steady)
					}
				}
				runtime.KeepAlive(s)
			}
			b.ReportMetric(steady, "B/entry")
			b.ReportMetric(worst, "worst-B/entry")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSet_Sweep fills a view, and sweeps it when most of it has expired. It
// reports how long a look-up would have had to wait for one of the 1,024 locks.
// The longest of them, on a busy machine, is that of a sweep that had to wait
// for the processor itself.
func BenchmarkSet_Sweep(b *testing.B) {
	for _, size := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("%dM", size/1_000_000), func(b *testing.B) {
			holds := make([]time.Duration, shards)
			for b.Loop() {
				mix, s := newEntryMix(), NewSet()
				for n := range size {
					e := mix.entry(n)
					s.Add(&e)
				}
				heap() // a view does not grow to ten million in the moment before a sweep
				for i := range s.shard {
					began := time.Now()
					s.shard[i].sweep(s.seed, uint32(start.Unix())+800)
					holds[i] = time.Since(began)
				}
				if left := s.Len(); left > size/8 || left < size/10 {
					b.Fatalf("%d entries of %d are left, want a ninth", left, size)
				}
			}
			slices.Sort(holds)
			b.ReportMetric(holds[shards/2].Seconds()*1e3, "median-hold-ms")
			b.ReportMetric(holds[shards*99/100].Seconds()*1e3, "p99-hold-ms")
			b.ReportMetric(holds[shards-1].Seconds()*1e3, "longest-hold-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}
