package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// binaries are built at most once for all tests of the package.
type binaries struct {
	how    func(ctx context.Context, folder string) error
	once   sync.Once
	folder string
	err    error
}

var (
	plain = binaries{how: func(ctx context.Context, folder string) error { return cluster.Build(ctx, folder) }}
	// skewable have wall clocks that can be set wrong. The standard library is
	// compiled anew for them, so they belong to the long runs.
	skewable = binaries{how: cluster.BuildWithClock}
)

func (b *binaries) build(t *testing.T) string {
	t.Helper()
	b.once.Do(func() {
		if b.folder, b.err = os.MkdirTemp("", "gatehouse-chaos-"); b.err == nil { //nolint:usetesting // it outlives this test
			leaving.add(func() { _ = os.RemoveAll(b.folder) }) // a leftover in the temporary folder harms nobody
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			b.err = b.how(ctx, b.folder)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.folder
}

// folder is where a test keeps its logs: a temporary one, or one in CHAOS_KEEP.
func folder(t *testing.T) string {
	t.Helper()
	keep := os.Getenv("CHAOS_KEEP")
	if keep == "" {
		at := t.TempDir()
		leaving.add(func() { _ = os.RemoveAll(filepath.Dir(at)) }) // with what else the test has there
		return at
	}
	at := filepath.Join(keep, filepath.Base(t.Name()))
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	return at
}

var clusters atomic.Int64

// startCluster starts a system for a test and its subtests. That of the long
// runs has three brokers, which take seconds to agree on a leader; "make test"
// has one.
func startCluster(t *testing.T, b *binaries) *cluster.Cluster {
	t.Helper()
	needPostgres(t)
	bin := b.build(t)
	brokers := 1
	if long() {
		brokers = 3
	}
	dir, began := folder(t), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Config{
		Dir: dir, Binaries: bin, DatabaseURL: databaseURL(), Name: fmt.Sprintf("chaos_%d_%d", os.Getpid(), clusters.Add(1)),
		Gateways: 3, Auths: 2, Brokers: brokers, Clocks: b == &skewable,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the cluster was ready after %v", time.Since(began).Round(time.Millisecond))
	end := sync.OnceValue(c.Close)
	forget := leaving.add(func() { _ = end() })
	t.Cleanup(func() {
		defer forget()
		if t.Failed() {
			t.Logf("the end of every log:\n%s", c.Logs(6000))
		}
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return c
}
