package chaos

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/checker"
	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/history"
	"gatehouse.internal/deploy/standalone/internal/chaos/workload"
)

// settleWithin is how soon after healing all views must equal the database. It
// is seconds on an idle machine; tests run on busy ones.
const settleWithin = 30 * time.Second

func databaseURL() string {
	if at := os.Getenv("GATEHOUSE_TEST_DATABASE_URL"); at != "" {
		return at
	}
	return "postgres://root@127.0.0.1:5432/test?sslmode=disable"
}

// needPostgres skips the test where PostgreSQL does not answer.
func needPostgres(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and starts the whole system")
	}
	at, err := url.Parse(databaseURL())
	if err != nil {
		t.Fatal("GATEHOUSE_TEST_DATABASE_URL is not a URL")
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Host)
	if err == nil {
		_ = conn.Close() // it answers
		return
	}
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
		t.Fatalf("PostgreSQL does not answer: %v", err)
	}
	t.Skipf("PostgreSQL does not answer: %v", err)
}

// needRedis skips the test where Redis is no process of its own: the embedded
// one cannot be killed, and has no settings.
func (w *world) needRedis() {
	w.Helper()
	if w.Redis != nil {
		return
	}
	const missing = "redis-server is not installed"
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
		w.Fatal(missing)
	}
	w.Skip(missing)
}

// world is a system, its clients and what they have noted.
type world struct {
	*cluster.Cluster
	*testing.T
	ctx      context.Context
	recorder *history.Recorder
	clients  *workload.Workload
	healed   time.Duration // how long after healing all views equalled the database
	ready    time.Duration // and every service was ready
}

// newWorld makes clients for a system that runs.
func newWorld(t *testing.T, c *cluster.Cluster, seed uint64) *world {
	t.Helper()
	w := &world{Cluster: c, T: t, ctx: t.Context(), recorder: history.NewRecorder()}
	cfg := workload.Config{
		Seed: seed, Name: fmt.Sprintf("w%d", clusters.Add(1)), URLs: c.URLs, Recorder: w.recorder,
		Users: 10, Sessions: 14, Pause: 15 * time.Millisecond, Rest: 150 * time.Millisecond,
	}
	cfg.Admin.Email, cfg.Admin.Password = cluster.AdminEmail, cluster.AdminPassword
	cfg.Program.ID, cfg.Program.Secret = cluster.ProgramID, cluster.ProgramSecret
	w.clients = workload.New(cfg)
	t.Cleanup(w.clients.Close)
	if err := w.clients.Prepare(w.ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// must ends the test on an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// wait lets time pass while the clients work.
func (w *world) wait(d time.Duration) {
	w.Helper()
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
		w.Fatal(w.ctx.Err())
	}
}

// fault makes a fault active for a time. blind names the gateways that it keeps
// from hearing anything.
func (w *world) fault(name string, f fault) {
	w.Helper()
	healed := w.recorder.Begin(name)
	if f.begin != nil {
		w.must(f.begin())
	}
	var seeing func()
	if len(f.blind) > 0 {
		seeing = w.recorder.Begin(name, f.blind...)
	}
	w.wait(f.last)
	if seeing != nil {
		seeing()
	}
	if f.end != nil {
		w.must(f.end())
	}
	healed()
}

type fault struct {
	begin, end func() error
	blind      []int
	last       time.Duration
}

// run has the clients work while the body breaks things, heals everything,
// waits until all has settled, and holds the history to the invariants.
func (w *world) run(body func(), without ...string) checker.Report {
	w.Helper()
	working, stop := context.WithCancel(w.ctx)
	defer stop()
	holding, letGo := context.WithCancel(w.ctx)
	defer letGo()
	var group, live sync.WaitGroup
	live.Go(func() { w.clients.Hold(holding) })
	defer live.Wait()
	defer letGo()
	group.Go(func() { w.clients.Run(working) })
	func() {
		defer group.Wait()
		defer stop()
		w.wait(time.Second) // so that there is something to lose
		body()
	}()
	w.must(w.Heal())
	w.settle()
	w.clients.Sweep(w.ctx)
	w.wait(600 * time.Millisecond) // live connections of what was revoked must have ended by then
	letGo()
	live.Wait()
	h, err := w.recorder.History()
	w.must(err)
	h.Nodes = len(w.URLs)
	return w.judge(h, without)
}

func (w *world) judge(h *history.History, without []string) checker.Report {
	w.Helper()
	report := checker.Check(h, without...)
	w.Logf("%s; %v after healing the views equalled the database, %v after it all were ready",
		&report, w.healed.Round(time.Millisecond), w.ready.Round(time.Millisecond))
	for i, v := range report.Violations {
		if i == 20 {
			w.Errorf("... and %d more violations", len(report.Violations)-i)
			break
		}
		w.Error(v)
	}
	if report.Accepted == 0 || report.Revocations == 0 || report.Refused == 0 || report.Live == 0 {
		w.Error("the clients did too little to tell anything")
	}
	if w.Failed() {
		w.keep(h)
	}
	summed.add(w.T, &report, w.healed, w.ready)
	return report
}

// keep writes the history where the logs are.
func (w *world) keep(h *history.History) {
	file := filepath.Join(w.Dir, "history.jsonl")
	out, err := os.Create(file)
	if err != nil {
		return // what matters was logged
	}
	defer out.Close() //nolint:errcheck // likewise
	_ = h.Write(out)
	w.Logf("history in %s (kept if CHAOS_KEEP is set)", file)
}

// settle waits until every gateway's view equals the database (I12), and until
// every service is ready. The latter takes longer after all brokers were down:
// they choose a leader of their streams after 4 to 9 s (nats-server), and a
// service that reads a stream is not ready before.
func (w *world) settle() {
	w.Helper()
	began := time.Now()
	var group sync.WaitGroup
	var slowest string
	var failed error
	group.Go(func() { slowest, failed = w.AwaitLast(w.ctx); w.ready = time.Since(began) })
	last := w.agree(began)
	w.healed = time.Since(began)
	group.Wait()
	w.must(failed)
	if w.healed > 2*time.Second || w.ready > 2*time.Second {
		w.Logf("the views equalled the database after %v, before: %v; all were ready after %v, at last %s",
			w.healed.Round(time.Millisecond), last, w.ready.Round(time.Millisecond), slowest)
	}
	_ = w.agree(time.Now()) // also now that nobody is on his way up
	w.recorder.Settled()
}

// agree waits until the views equal the database, and gives in what they
// differed last.
func (w *world) agree(began time.Time) (last error) {
	w.Helper()
	for {
		err := w.equal()
		if err == nil {
			return last
		}
		last = err
		if time.Since(began) > settleWithin {
			w.Fatalf("I12: the views do not equal the database %v after healing: %v", settleWithin, last)
		}
		w.wait(50 * time.Millisecond)
	}
}

// equal says in what the views differ from the database.
func (w *world) equal() error {
	truth, err := w.Truth(w.ctx)
	if err != nil {
		return err
	}
	if truth.Unnumbered > 0 {
		return fmt.Errorf("%d revocations have no number", truth.Unnumbered)
	}
	views, err := w.clients.Views(w.ctx, 0)
	if err != nil {
		return err
	}
	if len(views) != len(w.URLs) {
		return fmt.Errorf("%d gateways are known, want %d", len(views), len(w.URLs))
	}
	for _, v := range views {
		if v.Epoch != truth.Epoch || v.Applied != truth.Last || v.Head != truth.Last || v.Degraded {
			return fmt.Errorf("%+v, the database has %+v", v, truth)
		}
	}
	return nil
}
