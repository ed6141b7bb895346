package chaos

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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

// binaries are built once for all tests of the package.
var binaries struct {
	once   sync.Once
	folder string
	err    error
}

// total is what all runs of the process have seen.
var total struct {
	sync.Mutex
	runs   int
	report checker.Report
}

func TestMain(m *testing.M) {
	code := m.Run()
	if total.runs > 0 {
		fmt.Printf("chaos: %d runs: %s\n", total.runs, &total.report)
	}
	if binaries.folder != "" {
		_ = os.RemoveAll(binaries.folder) // a leftover in the temporary folder harms nobody
	}
	os.Exit(code)
}

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

func build(t *testing.T) string {
	t.Helper()
	binaries.once.Do(func() {
		if binaries.folder, binaries.err = os.MkdirTemp("", "gatehouse-chaos-"); binaries.err == nil { //nolint:usetesting // it outlives this test
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			binaries.err = cluster.Build(ctx, binaries.folder)
		}
	})
	if binaries.err != nil {
		t.Fatal(binaries.err)
	}
	return binaries.folder
}

// folder is where a test keeps its logs: a temporary one, or one in CHAOS_KEEP.
func folder(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("CHAOS_KEEP")
	if keep == "" {
		return t.TempDir()
	}
	at := filepath.Join(keep, filepath.Base(t.Name()))
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	return at
}

var clusters atomic.Int64

// startCluster starts a system for a test and its subtests.
func startCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	needPostgres(t)
	return startClusterOf(t, build(t))
}

// startClusterOf starts one of the binaries in a folder.
func startClusterOf(t *testing.T, bin string) *cluster.Cluster {
	t.Helper()
	dir, began := folder(t), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Config{
		Dir: dir, Binaries: bin, DatabaseURL: databaseURL(), Name: fmt.Sprintf("chaos_%d_%d", os.Getpid(), clusters.Add(1)),
		Gateways: 3, Auths: 2, Brokers: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the cluster was ready after %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of every log:\n%s", c.Logs(6000))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// world is a system, its clients and what they have noted.
type world struct {
	*cluster.Cluster
	*testing.T
	ctx      context.Context
	recorder *history.Recorder
	clients  *workload.Workload
	settled  time.Duration // how long after healing all views equalled the database
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
	w.wait(time.Second) // live connections of what was revoked must have ended by then
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
	w.Logf("%s; settled %v after healing", &report, w.settled.Round(time.Millisecond))
	for i, v := range report.Violations {
		if i == 20 {
			w.Errorf("... and %d more violations", len(report.Violations)-i)
			break
		}
		w.Error(v)
	}
	if report.Accepted == 0 || report.Revocations == 0 || report.Refused == 0 {
		w.Error("the clients did too little to tell anything")
	}
	if w.Failed() {
		file := filepath.Join(w.Dir, "history.jsonl")
		if out, err := os.Create(file); err == nil {
			_ = h.Write(out)
			_ = out.Close()
			w.Logf("history in %s (kept if CHAOS_KEEP is set)", file)
		}
	}
	total.Lock()
	defer total.Unlock()
	total.runs++
	total.report.Add(report)
	return report
}

// settle waits until every gateway's view equals the database (I12).
func (w *world) settle() {
	w.Helper()
	began := time.Now()
	slowest, err := w.AwaitLast(w.ctx)
	w.must(err)
	ready := time.Since(began)
	var last error
	for deadline := began.Add(settleWithin); ; {
		err := w.equal()
		if err == nil {
			break
		}
		last = err
		if time.Now().After(deadline) {
			w.Fatalf("I12: the views do not equal the database %v after healing: %v", settleWithin, last)
		}
		w.wait(50 * time.Millisecond)
	}
	if w.settled = time.Since(began); w.settled > 2*time.Second {
		w.Logf("all were ready after %v, at last %s; the views agreed at last on: %v", ready.Round(time.Millisecond), slowest, last)
	}
	w.recorder.Settled()
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
