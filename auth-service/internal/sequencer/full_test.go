package sequencer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
)

// smallBroker starts a broker that may store one megabyte.
func smallBroker(t *testing.T) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte("jetstream { max_file_store: 1MB, max_memory_store: 1MB }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.StartNATSWith(file, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL()
}

// fillBroker stores what belongs to somebody else until the broker has no room left.
func (s *system) fillBroker() (empty func()) {
	s.t.Helper()
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := js.CreateStream(s.t.Context(), jetstream.StreamConfig{Name: "OTHERS", Subjects: []string{"others"}}); err != nil {
		s.t.Fatal(err)
	}
	for _, size := range []int{16 << 10, 64} {
		for err == nil {
			_, err = js.Publish(s.t.Context(), "others", make([]byte, size))
		}
		if full := (*jetstream.APIError)(nil); !errors.As(err, &full) {
			s.t.Fatal(err)
		}
		err = nil
	}
	return func() {
		if err := js.DeleteStream(context.Background(), "OTHERS"); err != nil {
			s.t.Error(err)
		}
	}
}

// While the broker's disk is full nothing is lost and nobody waits for it: live
// nodes hear of revocations all the same, the backlog and the log show what the
// stream lacks, and it gets that once there is room.
func TestSequencer_F42_I1_I3_I11_a_broker_whose_disk_is_full_loses_nothing(t *testing.T) {
	s := newSystem(t, testenv.SQLite(t))
	s.natsURL = smallBroker(t)
	q, _ := s.sequencer()
	view := s.node("node-0")
	s.eventually("a fresh node", 15*time.Second, func() bool { return fresh(view)() && len(q.Presence.List()) == 1 })
	ids, _ := s.insert(1)
	q.Committed(t.Context(), ids)
	s.eventually("the stream has the first", 15*time.Second, func() bool { return s.count(`SELECT published FROM revocation_state`) == 1 })

	empty := s.fillBroker()
	full := time.Now()
	var sessions []string
	for range 20 {
		ids, more := s.insert(5)
		sessions = append(sessions, more...)
		if got := q.Committed(t.Context(), ids); got.Elapsed > 2*answerBound {
			t.Errorf("a revoking call waited %v", got.Elapsed)
		}
	}
	s.eventually("the live node knows them", 10*time.Second, func() bool {
		for _, session := range sessions {
			if view.Set.Check(ofSession(session)) != revocation.Revoked {
				return false
			}
		}
		return fresh(view)()
	})
	s.eventually("the backlog shows", 10*time.Second, func() bool { return testutil.ToFloat64(q.metrics.backlog) > 0 })
	if s.count(`SELECT published FROM revocation_state`) == 101 {
		t.Fatal("the broker took everything, so this test proves nothing")
	}
	t.Logf("seen %v after the first revocation of a full disk", time.Since(full))

	cold := s.node("node-1")
	s.eventually("a cold node is complete without the stream", 15*time.Second, fresh(cold))
	for _, session := range sessions {
		if cold.Set.Check(ofSession(session)) != revocation.Revoked {
			t.Fatal("a fresh node lacks a revocation that the stream could not keep")
		}
	}
	empty()
	s.eventually("the stream has everything", 20*time.Second, func() bool { return s.count(`SELECT published FROM revocation_state`) == 101 })
	s.eventually("the backlog is gone", 10*time.Second, func() bool { return testutil.ToFloat64(q.metrics.backlog) == 0 })
}

// idsOf is a road that notes the id of each message.
type idsOf struct {
	road
	sent map[string]string // body by id
	same int
	bad  []string
}

func (r *idsOf) StoreAsync(subject, msgID string, data []byte) (func(context.Context) (bus.Receipt, error), error) {
	switch body, seen := r.sent[msgID]; {
	case seen && body == string(data):
		r.same++
	case seen:
		r.bad = append(r.bad, msgID)
	}
	r.sent[msgID] = string(data)
	return r.road.StoreAsync(subject, msgID, data)
}

// The stream drops a second message of one id, whatever its body: so ids derive
// from the content, and what differs in anything is kept.
func TestSequencer_F14_I3_another_batch_has_another_id(t *testing.T) {
	s := newSystem(t, testenv.SQLite(t))
	q, err := New(Config{DB: s.db, Bus: s.connect("auth-service"), Signer: s.signer, Keys: s.signer, Now: time.Now, Log: s.log, Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	seen := &idsOf{road: q.road, sent: map[string]string{}}
	q.road = seen
	s.eventually("a stream", 15*time.Second, func() bool { return q.ensureStream(t.Context()) == nil })

	entry := contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID("a"), ExpiresAt: time.Now().Add(time.Hour)}
	first := contract.Batch{Epoch: 1, First: 1, Oldest: 1, Committed: time.Now(), Entries: []contract.Entry{entry}}
	other := entry
	other.Subject = contract.ParseSubjectID("b")
	changed := func(change func(*contract.Batch)) contract.Batch {
		b := first
		change(&b)
		return b
	}
	batches := []contract.Batch{
		first, first,
		changed(func(b *contract.Batch) { b.Epoch = 2 }),
		changed(func(b *contract.Batch) { b.First = 2 }),
		changed(func(b *contract.Batch) { b.Oldest = 0 }),
		changed(func(b *contract.Batch) { b.Entries = []contract.Entry{other} }),
		changed(func(b *contract.Batch) { b.Entries = []contract.Entry{entry, other} }),
	}
	duplicates := 0
	for i, b := range batches {
		if sent, err := q.store(t.Context(), b, b.First, ""); err != nil || !sent {
			t.Fatalf("batch %d: sent %v, %v", i, sent, err)
		}
		f := <-q.flights
		receipt, err := f.landed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if receipt.Duplicate {
			duplicates++
		}
	}
	if len(seen.bad) > 0 || seen.same != 1 || duplicates != 1 {
		t.Errorf("%d ids stand for two bodies, %d repetitions were sent and %d dropped, want 0, 1 and 1", len(seen.bad), seen.same, duplicates)
	}
	if kept := fmt.Sprint(len(seen.sent)); kept != fmt.Sprint(len(batches)-1) {
		t.Errorf("%s bodies for %d batches", kept, len(batches))
	}
}
