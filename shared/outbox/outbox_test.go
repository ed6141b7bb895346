package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"go.uber.org/goleak"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open gives a database with an empty outbox.
func open(t testing.TB, url string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	files := fstest.MapFS{"0001_outbox.sql": {Data: []byte("-- +goose Up\n" + outbox.Schema)}}
	if err := db.Migrate(context.Background(), files); err != nil {
		t.Fatal(err)
	}
	return db
}

// add commits n messages of a topic in one transaction and gives their ids.
func add(t testing.TB, db *sqldb.DB, topic string, n int) []string {
	t.Helper()
	ids := make([]string, n)
	err := sqldb.InTx(context.Background(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		for i := range ids {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			ids[i] = id.String()
			if err := outbox.Add(ctx, tx, outbox.Message{ID: ids[i], Topic: topic, Payload: []byte(topic)}, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// sink counts deliveries by id.
type sink struct {
	mu     sync.Mutex
	counts map[string]int
	order  []string
	fail   func(m outbox.Message) error
}

func (s *sink) deliver(_ context.Context, m outbox.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(m); err != nil {
			return err
		}
	}
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[m.ID]++
	s.order = append(s.order, m.ID)
	return nil
}

func (s *sink) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

// start runs a relay until the returned function, which waits for its end, is
// called, or the test ends.
func start(t testing.TB, r *outbox.Relay) (stop func()) {
	t.Helper()
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("relay ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for a condition, with a deadline.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 30 s: %s", what)
		case <-tick.C:
		}
	}
}

func counts(t testing.TB, db *sqldb.DB) outbox.Counts {
	t.Helper()
	c, err := outbox.Count(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRelay(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, url string)
	}{
		{"a committed message is delivered once and deleted", deliversOnce},
		{"a message of a rolled-back transaction is never delivered", rolledBack},
		{"several relays at once deliver each message, and none twice", severalRelays},
		{"a poison message never blocks the others and is parked", poisonIsParked},
		{"what is away does not park a message, and Retry brings it at once", awayIsNotPoison},
		{"a relay that died between delivery and deletion leaves the message to another", diedInBetween},
		{"a wake-up is not a poll", wakeIsQuick},
		{"relays share a table by topic", byTopic},
		{"a stopped relay gives back what it was cut off from", givesBack},
		{"a panic in a delivery is a failure of that message", panicIsFailure},
	} {
		t.Run(c.name, func(t *testing.T) { testenv.EachDatabase(t, c.run) })
	}
}

func deliversOnce(t *testing.T, url string) {
	db, s := open(t, url), &sink{}
	r := &outbox.Relay{DB: db, Deliver: s.deliver}
	start(t, r)
	ids := add(t, db, "a", 100)
	r.Wake()
	eventually(t, "the outbox is empty", func() bool { return counts(t, db).Waiting == 0 })
	for _, id := range ids {
		if s.counts[id] != 1 {
			t.Errorf("message %s was delivered %d times", id, s.counts[id])
		}
	}
}

func rolledBack(t *testing.T, url string) {
	db, s := open(t, url), &sink{}
	r := &outbox.Relay{DB: db, Deliver: s.deliver, Poll: 10 * time.Millisecond}
	start(t, r)
	wanted := errors.New("no")
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		return errors.Join(wanted, outbox.Add(ctx, tx, outbox.Message{ID: "1", Topic: "a"}, time.Now()))
	})
	if !errors.Is(err, wanted) {
		t.Fatal(err)
	}
	add(t, db, "b", 1)
	r.Wake()
	eventually(t, "the committed one is delivered", func() bool { return s.total() == 1 })
	if s.counts["1"] != 0 {
		t.Error("a message that was rolled back was delivered")
	}
}

func severalRelays(t *testing.T, url string) {
	const relays, messages = 4, 400
	first, s := open(t, url), &sink{}
	dbs := []*sqldb.DB{first}
	for range relays - 1 {
		db, err := sqldb.Open(t.Context(), url) // as another process would
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		dbs = append(dbs, db)
	}
	var all []*outbox.Relay
	for _, db := range dbs {
		r := &outbox.Relay{DB: db, Deliver: s.deliver, Poll: 20 * time.Millisecond}
		start(t, r)
		all = append(all, r)
	}
	var ids []string
	for i := range 10 {
		ids = append(ids, add(t, first, "a", messages/10)...)
		all[i%relays].Wake()
	}
	eventually(t, "the outbox is empty", func() bool { return counts(t, first).Waiting == 0 })
	for _, id := range ids {
		if s.counts[id] != 1 {
			t.Errorf("message %s was delivered %d times", id, s.counts[id])
		}
	}
}

func poisonIsParked(t *testing.T, url string) {
	db := open(t, url)
	s := &sink{fail: func(m outbox.Message) error {
		if m.Topic == "poison" {
			return errors.New("bad \x00 \xff message")
		}
		return nil
	}}
	r := &outbox.Relay{DB: db, Deliver: s.deliver, MaxAttempts: 3, MaxBackoff: 20 * time.Millisecond, Concurrency: 2}
	start(t, r)
	add(t, db, "poison", 10) // first in line, and more than can be in hand
	add(t, db, "good", 20)
	r.Wake()
	eventually(t, "the good ones are delivered", func() bool { return s.total() == 20 })
	eventually(t, "the poison is parked", func() bool { return counts(t, db).Parked == 10 })
	if c := counts(t, db); c.Waiting != 0 || !c.Oldest.IsZero() {
		t.Errorf("left over: %+v", c)
	}
	s.mu.Lock()
	s.fail = nil
	s.mu.Unlock()
	if n, err := outbox.Unpark(t.Context(), db); err != nil || n != 10 {
		t.Errorf("unparked %d, %v", n, err)
	}
	r.Wake()
	eventually(t, "the unparked ones are delivered", func() bool { return s.total() == 30 })
}

func awayIsNotPoison(t *testing.T, url string) {
	db := open(t, url)
	var away atomic.Bool
	var tried atomic.Int64
	away.Store(true)
	s := &sink{fail: func(outbox.Message) error {
		tried.Add(1)
		if away.Load() {
			return fault.New(fault.Unavailable, "away")
		}
		return nil
	}}
	// The clock has run on since the messages came, so the pauses are long.
	later := func() time.Time { return time.Now().Add(time.Hour) }
	r := &outbox.Relay{DB: db, Deliver: s.deliver, Now: later, MaxAttempts: 1, Poll: 10 * time.Millisecond}
	start(t, r)
	add(t, db, "a", 30)
	r.Wake()
	eventually(t, "every message has failed", func() bool { return tried.Load() >= 30 })
	eventually(t, "the failures are noted", func() bool { return failed(t, db) == 30 })
	if c := counts(t, db); c.Parked != 0 || c.Waiting != 30 {
		t.Errorf("counts are %+v", c)
	}
	away.Store(false)
	began := time.Now()
	r.Retry()
	eventually(t, "all are delivered", func() bool { return s.total() == 30 })
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %s after Retry", took)
	}
}

// failed counts the messages with a noted failure.
func failed(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.GetContext(t.Context(), &n, "SELECT count(*) FROM outbox WHERE last_error <> ''"); err != nil {
		t.Fatal(err)
	}
	return n
}

func diedInBetween(t *testing.T, url string) {
	db, other := open(t, url), &sink{}
	// The first relay delivers, and its process stops existing: the row keeps
	// its lease, as it would.
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	delivered := make(chan struct{}, 1)
	block := make(chan struct{})
	wakeUp := sync.OnceFunc(func() { close(block) })
	dead := &outbox.Relay{DB: db, Now: clock, Concurrency: 1, Timeout: time.Hour, Lease: time.Minute, Poll: time.Hour, Deliver: func(context.Context, outbox.Message) error {
		delivered <- struct{}{}
		<-block
		return nil
	}}
	stop := start(t, dead)
	t.Cleanup(wakeUp) // before stop, which waits for it
	ids := add(t, db, "a", 1)
	dead.Wake()
	<-delivered

	r := &outbox.Relay{DB: db, Now: clock, Deliver: other.deliver, Poll: 5 * time.Millisecond}
	start(t, r)
	second := add(t, db, "b", 1)
	r.Wake()
	eventually(t, "the second message is delivered", func() bool { return other.total() == 1 })
	if other.order[0] != second[0] {
		t.Error("a message was delivered while its lease was running")
	}
	now.Add(int64(time.Minute + time.Second))
	eventually(t, "the first message is delivered again", func() bool { return other.total() == 2 })
	if other.order[1] != ids[0] {
		t.Errorf("delivered %v", other.order)
	}
	wakeUp() // the dead one wakes up: what it does now changes nothing
	stop()
	if c := counts(t, db); c.Waiting != 0 {
		t.Errorf("left over: %+v", c)
	}
}

func wakeIsQuick(t *testing.T, url string) {
	db := open(t, url)
	came := make(chan string, 1)
	r := &outbox.Relay{DB: db, Poll: time.Hour, Deliver: func(_ context.Context, m outbox.Message) error {
		came <- m.ID
		return nil
	}}
	start(t, r)
	best := time.Hour
	for range 20 {
		ids := add(t, db, "a", 1)
		began := time.Now()
		r.Wake()
		if got := <-came; got != ids[0] {
			t.Fatalf("delivered %s, want %s", got, ids[0])
		}
		best = min(best, time.Since(began))
	}
	if best > 50*time.Millisecond {
		t.Errorf("the quickest delivery took %s", best)
	}
}

func byTopic(t *testing.T, url string) {
	db, mail, events := open(t, url), &sink{}, &sink{}
	a := &outbox.Relay{DB: db, Deliver: mail.deliver, Topics: "mail."}
	b := &outbox.Relay{DB: db, Deliver: events.deliver, Topics: "event."}
	start(t, a)
	start(t, b)
	add(t, db, "mail.letter", 5)
	add(t, db, "event.thing", 7)
	a.Wake()
	b.Wake()
	eventually(t, "all are delivered", func() bool { return mail.total() == 5 && events.total() == 7 })
}

func givesBack(t *testing.T, url string) {
	db := open(t, url)
	began := make(chan struct{}, 1)
	r := &outbox.Relay{DB: db, Timeout: time.Hour, Deliver: func(ctx context.Context, _ outbox.Message) error {
		began <- struct{}{}
		<-ctx.Done()
		return fmt.Errorf("cut off: %w", ctx.Err())
	}}
	stop := start(t, r)
	add(t, db, "a", 1)
	r.Wake()
	<-began
	stop()
	s := &sink{}
	next := &outbox.Relay{DB: db, Deliver: s.deliver, MaxAttempts: 1}
	start(t, next)
	eventually(t, "the next relay delivers it", func() bool { return s.total() == 1 })
}

func panicIsFailure(t *testing.T, url string) {
	db := open(t, url)
	s := &sink{fail: func(m outbox.Message) error {
		if m.Topic == "bad" {
			panic("bad message")
		}
		return nil
	}}
	r := &outbox.Relay{DB: db, Deliver: s.deliver, MaxAttempts: 2, MaxBackoff: 5 * time.Millisecond}
	start(t, r)
	add(t, db, "bad", 1)
	add(t, db, "good", 1)
	r.Wake()
	eventually(t, "the good one is delivered and the bad one parked", func() bool {
		return s.total() == 1 && counts(t, db).Parked == 1
	})
}

func TestAdd_refusesAMessageWithoutIDOrTopic(t *testing.T) {
	db := open(t, testenv.SQLite(t))
	for _, m := range []outbox.Message{{Topic: "a"}, {ID: "1"}} {
		err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
			return outbox.Add(ctx, tx, m, time.Now())
		})
		if err == nil {
			t.Errorf("%+v was added", m)
		}
	}
}

func TestRelay_refusesToRunUnfinished(t *testing.T) {
	if err := (&outbox.Relay{}).Run(t.Context()); err == nil {
		t.Error("it ran")
	}
}
