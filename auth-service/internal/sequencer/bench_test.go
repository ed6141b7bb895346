package sequencer

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/sqldb"
)

// live is how many revocations there are in the large benchmarks: a million, or
// what GATEHOUSE_BENCH_LIVE says.
func live(b *testing.B) int {
	b.Helper()
	text := os.Getenv("GATEHOUSE_BENCH_LIVE")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal("GATEHOUSE_BENCH_LIVE is not a number")
	}
	return n
}

// newBench is a system on the real PostgreSQL and a broker, without Redis. It
// has the indexes that the auth-service's own migrations make.
func newBench(b *testing.B, broker func(testing.TB) (url, prefix string)) *system {
	b.Helper()
	db, err := sqldb.Open(b.Context(), testenv.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context(), schema); err != nil {
		b.Fatal(err)
	}
	s := &system{t: b, db: db, signer: newSigner(), log: slog.New(slog.DiscardHandler)}
	s.exec(`CREATE INDEX revocations_by_subject ON revocations (subject)`)
	s.natsURL, s.prefix = broker(b)
	return s
}

// withRealRedis has sequencers keep the real Redis in step.
func (s *system) withRealRedis() {
	url, prefix := testenv.RealRedis(s.t)
	client, err := revocation.NewRedisClient(url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.redis, s.redisPrefix = client, prefix
	s.t.Cleanup(func() { _ = client.Close() })
}

// benchSequencer is a replica that is not running yet.
func (s *system) benchSequencer() *Sequencer {
	cfg := Config{
		DB: s.db, Bus: s.connect("auth-service"), RedisPrefix: s.redisPrefix, Signer: s.signer, Keys: s.signer,
		Now: time.Now, Log: s.log, Registry: prometheus.NewRegistry(),
	}
	if s.redis != nil {
		cfg.Redis = s.redis
	}
	q, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return q
}

func (s *system) exec(query string, args ...any) {
	s.t.Helper()
	// Setting up a million rows may take longer than a statement of a service.
	err := sqldb.InTx(s.t.Context(), s.db, func(ctx context.Context, tx *sqlx.Tx) error {
		if s.db.Dialect() == sqldb.Postgres {
			if _, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// fill commits n revocations, nine in ten of them of sessions and the others of
// users, with or without numbers.
func (s *system) fill(n int, numbered bool) {
	s.t.Helper()
	if _, _, err := newSQLLog(s.db).number(s.t.Context()); err != nil { // so that the database is no stranger
		s.t.Fatal(err)
	}
	const chunk = 20_000
	for from := 1; from <= n; from += chunk {
		number := "NULL"
		if numbered {
			number = "i"
		}
		s.exec(`INSERT INTO revocations (id, number, kind, subject, min_version, cause, expires_at, created_at)
			SELECT `+uuidAt("i")+`, `+number+`, CASE WHEN i % 10 = 0 THEN 3 ELSE 2 END, `+uuidAt("i")+`, i % 10, 'bench', $3, $4
			FROM generate_series($1::BIGINT, $2::BIGINT) i`,
			from, min(n, from+chunk-1), sqldb.Micros(time.Now().Add(time.Hour)), sqldb.Micros(time.Now()))
	}
	if numbered {
		s.exec(`UPDATE revocation_state SET last_number = GREATEST(last_number, $1)`, n)
	}
	if _, err := s.db.ExecContext(s.t.Context(), `ANALYZE revocations`); err != nil {
		s.t.Fatal(err)
	}
}

// uuidAt is an SQL expression for a random UUIDv7 (RFC 9562) of the i-th
// millisecond, because ids rise with time, which indexes are grateful for.
func uuidAt(i string) string {
	return `OVERLAY(OVERLAY(gen_random_uuid()::TEXT PLACING '7' FROM 15) PLACING
		REGEXP_REPLACE(LPAD(TO_HEX(1764000000000 + ` + i + `), 12, '0'), '(.{8})', '\1-') FROM 1 FOR 13)`
}

// until waits for a condition that costs little, and gives how long it took.
func (s *system) until(what string, began time.Time, condition func() bool) time.Duration {
	s.t.Helper()
	s.eventually(what, 5*time.Minute, condition)
	return time.Since(began)
}

func applied(view *revocation.View, n int) func() bool {
	return func() bool { return view.Progress.Position().Applied >= uint64(n) }
}

// BenchmarkLog_number gives numbers to a backlog, and does nothing else.
func BenchmarkLog_number(b *testing.B) {
	s := newBench(b, testenv.NATS)
	l := newSQLLog(s.db)
	const backlog = 100_000
	s.fill(500_000, true) // what is alive already must cost nothing
	for b.Loop() {
		b.StopTimer()
		s.fill(backlog, false)
		b.StartTimer()
		began := time.Now()
		for done := 0; done < backlog; {
			_, rows, err := l.number(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			done += len(rows)
		}
		b.ReportMetric(backlog/time.Since(began).Seconds(), "rows/s")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkLog_number_one gives a number to one row, as after one logout.
func BenchmarkLog_number_one(b *testing.B) {
	s := newBench(b, testenv.NATS)
	l := newSQLLog(s.db)
	for b.Loop() {
		b.StopTimer()
		s.fill(1, false)
		b.StartTimer()
		if _, rows, err := l.number(b.Context()); err != nil || len(rows) != 1 {
			b.Fatalf("%d rows, %v", len(rows), err)
		}
	}
}

// BenchmarkLog_batch reads numbered rows, as for a node that asks for all.
func BenchmarkLog_batch(b *testing.B) {
	s := newBench(b, testenv.NATS)
	l := newSQLLog(s.db)
	const size = 20 * contract.MaxBatchEntries
	s.fill(size, true)
	for b.Loop() {
		for from := uint64(1); from <= size; from += contract.MaxBatchEntries {
			if batch, err := l.batch(b.Context(), from, size); err != nil || len(batch.Entries) != contract.MaxBatchEntries {
				b.Fatalf("%d entries, %v", len(batch.Entries), err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkMirror_fill writes numbered rows to an empty Redis, with nothing else
// going on.
func BenchmarkMirror_fill(b *testing.B) {
	s := newBench(b, testenv.NATS)
	s.withRealRedis()
	s.fill(100_000, true)
	m := s.benchSequencer().mirror
	for b.Loop() {
		current, err := m.s.log.look(b.Context())
		if err == nil {
			err = m.empty(b.Context(), current)
		}
		if err == nil {
			err = m.fill(b.Context(), current, 0)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkSequencer_backlog starts a sequencer on a backlog that nobody has
// numbered, as after an outage, and reports how fast a node has applied it, and
// how fast Redis has it.
func BenchmarkSequencer_backlog(b *testing.B) {
	for _, c := range []struct {
		name  string
		size  int
		redis bool
	}{{"without Redis", live(b), false}, {"with Redis", live(b) / 5, true}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				s := newBench(b, testenv.RealNATS)
				if c.redis {
					s.withRealRedis()
				}
				s.fill(c.size, false)
				view := s.node("node")
				q, began := s.benchSequencer(), time.Now()
				s.background(q.Run)
				took := s.until("the node has applied all", began, applied(view, c.size))
				b.ReportMetric(float64(c.size)/took.Seconds(), "applied/s")
				b.ReportMetric(took.Seconds(), "s")
				if c.redis {
					took := s.until("Redis has all", began, func() bool {
						_, last, err := q.mirror.head(b.Context())
						return err == nil && last >= uint64(c.size)
					})
					b.ReportMetric(float64(c.size)/took.Seconds(), "mirrored/s")
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkSequencer_refill empties the stream while a million revocations are
// alive, and reports how long it is until the stream has acknowledged them all
// again, how old a node's view became meanwhile, and how long a new revocation
// took to be applied.
func BenchmarkSequencer_refill(b *testing.B) {
	for b.Loop() {
		n := live(b)
		s := newBench(b, testenv.RealNATS)
		s.fill(n, true)
		s.store(n, contract.MaxBatchEntries)
		q := s.benchSequencer()
		s.background(q.Run)
		view := s.node("node")
		s.until("the node is fresh", time.Now(), func() bool { return applied(view, n)() && fresh(view)() })
		published := func() int { return s.count(`SELECT published FROM revocation_state`) }
		operator := s.connect("operator")
		s.until("the operator is connected", time.Now(), func() bool { return operator.Ready(b.Context()) == nil })
		if err := operator.PurgeStream(b.Context(), operator.Subjects().RevocationStream()); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		noticed := s.until("the loss is noticed", began, func() bool { return published() < n })
		var oldest, latest time.Duration
		for more := 1; published() < n; more++ {
			ids, _ := s.insert(1)
			committed := time.Now()
			q.Committed(b.Context(), ids)
			latest = max(latest, s.until("a new one is applied", committed, applied(view, n+more)))
			age, _ := view.Progress.Age()
			oldest = max(oldest, age)
		}
		b.ReportMetric(noticed.Seconds(), "noticed-s")
		b.ReportMetric(time.Since(began).Seconds(), "s")
		b.ReportMetric(oldest.Seconds(), "view-age-max-s")
		b.ReportMetric(float64(latest.Microseconds())/1000, "applied-max-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSequencer_sustained commits revocations from sixteen writers for
// five seconds, while one sequencer numbers, publishes and mirrors them, and
// reports how many a second a node has applied at the end of it. The baseline
// is what the same writers commit when nobody numbers.
func BenchmarkSequencer_sustained(b *testing.B) {
	for _, rows := range []int{1, 10, 100} {
		for _, sequenced := range []bool{false, true} {
			name := fmt.Sprintf("%d rows a commit, commits only", rows)
			if sequenced {
				name = fmt.Sprintf("%d rows a commit, sequenced", rows)
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					sustain(b, rows, sequenced)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func sustain(b *testing.B, rows int, sequenced bool) {
	const duration = 5 * time.Second
	s := newBench(b, testenv.RealNATS)
	var view *revocation.View
	if sequenced {
		s.withRealRedis()
		view = s.node("node")
		q := s.benchSequencer()
		s.background(q.Run)
		s.until("the node is fresh", time.Now(), fresh(view))
	}
	committed := atomic.Int64{}
	began := time.Now()
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			for time.Since(began) < duration {
				s.commit(rows)
				committed.Add(int64(rows))
			}
		})
	}
	writers.Wait()
	n := int(committed.Load())
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "committed/s")
	if sequenced {
		behind := n - int(view.Progress.Position().Applied)
		took := s.until("the node has applied all", began, applied(view, n))
		b.ReportMetric(float64(behind), "behind-at-end")
		b.ReportMetric(float64(n)/took.Seconds(), "applied/s")
	}
}

// commit writes revocations in one transaction, each with a statement of its
// own, as the auth-service's store does.
func (s *system) commit(rows int) {
	err := sqldb.InTx(s.t.Context(), s.db, func(ctx context.Context, tx *sqlx.Tx) error {
		for range rows {
			_, err := tx.ExecContext(ctx, `INSERT INTO revocations (id, number, kind, subject, min_version, cause, expires_at, created_at)
				VALUES ($1, NULL, $2, $3, 0, 'bench', $4, $5)`, uuid.Must(uuid.NewV7()).String(), int64(contract.RevokeSession),
				uuid.Must(uuid.NewV7()).String(), sqldb.Micros(time.Now().Add(time.Hour)), sqldb.Micros(time.Now()))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Errorf("commit: %v", err)
	}
}

// BenchmarkColdNode starts a node when a million revocations are alive, and
// reports how long it takes until its first covered, echoed head: from a stream
// of full batches, from one of batches of ten as quiet hours leave them, and
// from an empty stream, so that the auth-service gives every number.
func BenchmarkColdNode(b *testing.B) {
	for _, server := range []struct {
		name string
		nats func(testing.TB) (url, prefix string)
	}{{"embedded", testenv.NATS}, {"real", testenv.RealNATS}} {
		for _, batch := range []int{contract.MaxBatchEntries, 10, 0} {
			name := fmt.Sprintf("%s, batches of %d", server.name, batch)
			if batch == 0 {
				name = server.name + ", empty stream"
			}
			b.Run(name, func(b *testing.B) {
				s := newBench(b, server.nats)
				s.fill(live(b), true)
				s.store(live(b), batch)
				q := s.benchSequencer()
				s.background(q.Run)
				s.eventually("the sequencer works", time.Minute, func() bool { return q.Ready(b.Context()) == nil })
				var took time.Duration
				nodes := 0
				for b.Loop() {
					nodes++
					began := time.Now()
					view := s.node(fmt.Sprintf("cold-%d", nodes))
					took += s.until("the node is ready", began, func() bool {
						_, known := view.Progress.Age()
						return known && applied(view, live(b))()
					})
				}
				b.ReportMetric(took.Seconds()/float64(nodes), "s-to-ready")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// store puts numbers into the stream in batches of a size, and notes that they
// are there. With size 0 it says so and puts nothing, as after a loss that
// nobody has noticed yet.
func (s *system) store(n, size int) {
	s.t.Helper()
	road, l := s.connect("auth-service"), newSQLLog(s.db)
	ctx := s.t.Context()
	s.eventually("the bus is ready", 10*time.Second, func() bool { return road.Ready(ctx) == nil })
	subjects := road.Subjects()
	err := road.EnsureStream(ctx, bus.Stream{Name: subjects.RevocationStream(), Subjects: []string{subjects.Batches()}, MaxAge: streamAge})
	if err != nil {
		s.t.Fatal(err)
	}
	var waiting []func(context.Context) (bus.Receipt, error)
	land := func() {
		for _, landed := range waiting {
			if _, err := landed(ctx); err != nil {
				s.t.Fatal(err)
			}
		}
		waiting = nil
	}
	for from := 1; size > 0 && from <= n; {
		all, err := l.batch(ctx, uint64(from), uint64(n))
		if err != nil {
			s.t.Fatal(err)
		}
		for i := 0; i < len(all.Entries); i += size {
			part := all
			part.First, part.Entries = all.First+uint64(i), all.Entries[i:min(len(all.Entries), i+size)]
			message := revocation.Seal(revocation.PurposeBatch, "events-1", s.signer.key, part.Encode())
			landed, err := road.StoreAsync(subjects.Batches(), uuid.NewString(), message)
			if err != nil {
				s.t.Fatal(err)
			}
			if waiting = append(waiting, landed); len(waiting) == 256 {
				land()
			}
		}
		from += len(all.Entries)
	}
	land()
	s.exec(`UPDATE revocation_state SET published = $1`, n)
}
