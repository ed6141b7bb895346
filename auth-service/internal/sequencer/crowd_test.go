package sequencer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
)

func TestSequencer_serves_each_node_of_many_with_a_head_of_its_part(t *testing.T) {
	each(t, func(s *system) {
		q, _ := s.sequencer()
		// Nodes that only say that they are there.
		for i := range 3 * contract.OneHead {
			said(q.Presence, fmt.Sprintf("crowd-%d", i), 0)
		}
		second, _ := s.sequencer()
		own := contract.HeadPart("real")
		var part, others atomic.Int64
		ear := s.connect("ear")
		listen := func(subject string, take func(h *contract.Head)) {
			if _, err := ear.Subscribe(subject, func(m bus.Message) {
				var h contract.Head
				if payload, err := revocation.Open(revocation.PurposeHead, s.signer, m.Data); err != nil || json.Unmarshal(payload, &h) != nil {
					s.t.Errorf("a head that cannot be read: %v", err)
				}
				take(&h)
			}); err != nil {
				s.t.Fatal(err)
			}
		}
		for i := range contract.HeadParts {
			listen(ear.Subjects().HeadsOf(i), func(h *contract.Head) {
				for node := range h.Nonces {
					if contract.HeadPart(node) != i {
						s.t.Errorf("part %d has the nonce of %s", i, node)
					}
				}
				if h.Nodes <= contract.OneHead {
					s.t.Errorf("a head tells of %d nodes", h.Nodes)
				}
				if strings.Contains(fmt.Sprint(h.Nonces), "real/") && i == own {
					part.Add(1)
				} else {
					others.Add(1)
				}
			})
		}
		view := s.node("real")
		s.eventually("heads for every part, and for the other replica", 15*time.Second, func() bool {
			return fresh(view)() && !second.active() && part.Load() > 3 && others.Load() > contract.OneHead
		})
		ids, sessions := s.insert(1)
		q.Committed(s.t.Context(), ids)
		s.eventually("the node knows the revocation, and is fresh", 15*time.Second, func() bool {
			return fresh(view)() && view.Set.Check(ofSession(sessions[0])) == revocation.Revoked
		})
	})
}

// traffic counts the messages and bytes that are published on the road.
type traffic struct{ messages, bytes atomic.Int64 }

func (t *traffic) take(m bus.Message) { t.messages.Add(1); t.bytes.Add(int64(len(m.Data))) }

func (t *traffic) reset() { t.messages.Store(0); t.bytes.Store(0) }

// BenchmarkCrowd runs real followers around one sequencer and a real broker,
// and counts what reports and heads cost: while nothing is revoked, and with
// ten revocations a second. The figures are of the whole system for a second,
// but for "B/node/s", what one node receives in heads, and "age-ms", the oldest
// view that any node had. GATEHOUSE_BENCH_NODES chooses other numbers of nodes.
func BenchmarkCrowd(b *testing.B) {
	for _, nodes := range strings.Split(cmp.Or(os.Getenv("GATEHOUSE_BENCH_NODES"), "1,8,100,1000"), ",") {
		n, err := strconv.Atoi(nodes)
		if err != nil {
			b.Fatal("GATEHOUSE_BENCH_NODES is not a list of numbers")
		}
		for _, revoking := range []bool{false, true} {
			b.Run(fmt.Sprintf("nodes=%d/revoking=%t", n, revoking), func(b *testing.B) { crowdOf(b, n, revoking) })
		}
	}
}

func crowdOf(b *testing.B, n int, revoking bool) {
	s := newBench(b, testenv.NATS)
	q := s.benchSequencer()
	s.background(q.Run)
	views := make([]*revocation.View, n)
	var starting sync.WaitGroup
	for i := range views {
		starting.Go(func() { views[i] = s.node(fmt.Sprintf("gateway-%04d", i)) })
	}
	starting.Wait()
	ear := s.connect("ear")
	var reports, heads, parts traffic
	listen := func(subject string, t *traffic) {
		if _, err := ear.Subscribe(subject, t.take); err != nil {
			b.Fatal(err)
		}
	}
	listen(ear.Subjects().Reports(), &reports)
	listen(ear.Subjects().Heads(), &heads)
	for part := range contract.HeadParts {
		listen(ear.Subjects().HeadsOf(part), &parts)
	}
	s.eventually("all nodes are fresh", time.Minute, fresh(views...))
	var oldest, whole, asked float64
	var wait time.Duration
	for b.Loop() {
		for _, t := range []*traffic{&reports, &heads, &parts} {
			t.reset()
		}
		began, cpu := time.Now(), processCPU()
		tick := time.NewTicker(100 * time.Millisecond)
		for time.Since(began) < 5*time.Second {
			<-tick.C
			for _, v := range views {
				age, _ := v.Progress.Age()
				oldest = max(oldest, float64(age.Milliseconds()))
			}
			if revoking {
				ids, _ := s.insert(1)
				got := q.Committed(b.Context(), ids)
				asked++
				wait += got.Elapsed
				if got.Applied == got.Nodes {
					whole++
				}
			}
		}
		tick.Stop()
		seconds := time.Since(began).Seconds()
		per := func(v int64) float64 { return float64(v) / seconds }
		b.ReportMetric(per(reports.messages.Load()), "reports/s")
		b.ReportMetric(per(reports.bytes.Load()), "reports-B/s")
		b.ReportMetric(per(heads.messages.Load()+parts.messages.Load()), "heads/s")
		// Every node gets each head for all, and those of its own part.
		received := per(heads.bytes.Load()) + per(parts.bytes.Load())/float64(contract.HeadParts)
		b.ReportMetric(received, "B/node/s")
		b.ReportMetric(received*float64(n), "heads-out-B/s")
		b.ReportMetric((processCPU()-cpu).Seconds()/seconds*100/float64(runtime.NumCPU()), "CPU-%")
		b.ReportMetric(oldest, "age-ms")
		if revoking {
			b.ReportMetric(float64(wait.Microseconds())/1000/asked, "answer-ms")
			b.ReportMetric(whole/asked*100, "whole-%")
		}
	}
}

// processCPU is the time that this process has used, nodes and broker included.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// quiet is a road on which nobody listens.
type quiet struct{ road }

func (quiet) Subjects() contract.Subjects  { return contract.Subjects{Prefix: "bench"} }
func (quiet) Publish(string, []byte) error { return nil }

// BenchmarkCrowd_auth_service is what the nodes cost one auth-service alone, in
// its own code: taking in a report, and making the heads of a period. It prints
// the part of one core that both take while nothing is revoked, and what one
// batch adds: the reports of all nodes, while 16 calls wait for them.
func BenchmarkCrowd_auth_service(b *testing.B) {
	for _, n := range []int{1, 8, 100, 1000} {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			keys := newSigner()
			s := assemble(Config{Signer: keys, Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()},
				"sequencer-0", newMemoryLog(func() fate { return granted }), quiet{})
			reports := func(number uint64) [][]byte {
				out := make([][]byte, n)
				for i := range out {
					out[i] = encoded(contract.Report{
						V: contract.ReportVersion, Node: fmt.Sprintf("gateway-%04d", i), Nonce: "0123456789abcdef01234567-123456", Version: "1.2.3",
						Address: "http://10.0.0.1:8080", Epoch: 1, Applied: number, Head: number, AgeMillis: 123.456,
					})
				}
				return out
			}
			take := func(all [][]byte) {
				for _, data := range all {
					s.Presence.Take(data)
				}
			}
			before, after := reports(1), reports(2)
			var taken, made, batches time.Duration
			for b.Loop() {
				began := time.Now()
				take(before)
				taken += time.Since(began)
				began, s.lastHead = time.Now(), time.Time{}
				if err := s.head(b.Context(), state{Epoch: 1, Last: 1}, s.Presence.snapshot()); err != nil {
					b.Fatal(err)
				}
				made += time.Since(began)
				began = time.Now()
				for range 16 {
					s.Presence.expect(1, 2)
				}
				take(after)
				batches += time.Since(began)
			}
			times := float64(b.N)
			period := contract.ReportPeriod(n)
			b.ReportMetric(float64(taken.Microseconds())/times/float64(n), "µs/report")
			b.ReportMetric(float64(made.Microseconds())/times, "µs/heads")
			b.ReportMetric(100*(taken.Seconds()/period.Seconds()+made.Seconds()/headPeriod.Seconds())/times, "core-%")
			b.ReportMetric(float64(batches.Microseconds())/times, "µs/batch")
			b.ReportMetric(0, "ns/op") // of no meaning
		})
	}
}
