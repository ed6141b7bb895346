package figures

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// shared is the cluster of all benchmarks.
var shared struct {
	once sync.Once
	dir  string
	c    *cluster.Cluster
	err  error
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		work := map[string]func([]string) error{"echo": serve, "load": generate}[os.Args[1]]
		if work != nil {
			if err := work(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	code := m.Run()
	if shared.c != nil {
		if err := shared.c.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the cluster did not end cleanly:", err)
			code = 1
		}
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir) // a leftover in the temporary folder harms nobody
	}
	os.Exit(code)
}

func databaseURL() string {
	if at := os.Getenv("GATEHOUSE_TEST_DATABASE_URL"); at != "" {
		return at
	}
	return "postgres://root@127.0.0.1:5432/test?sslmode=disable"
}

// needPostgres skips where PostgreSQL does not answer.
func needPostgres(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("it builds and starts the whole system")
	}
	at, err := url.Parse(databaseURL())
	if err != nil {
		tb.Fatal("GATEHOUSE_TEST_DATABASE_URL is not a URL")
	}
	conn, err := new(net.Dialer).DialContext(tb.Context(), "tcp", at.Host)
	if err == nil {
		_ = conn.Close() // it answers
		return
	}
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
		tb.Fatalf("PostgreSQL does not answer: %v", err)
	}
	tb.Skipf("PostgreSQL does not answer: %v", err)
}

// start builds the binaries into dir and starts a cluster of them.
func start(dir string, cfg cluster.Config) (*cluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := cluster.Build(ctx, dir); err != nil {
		return nil, err
	}
	cfg.Dir, cfg.Binaries, cfg.DatabaseURL, cfg.Service = dir, dir, databaseURL(), os.Args[0]
	cfg.Name = fmt.Sprintf("figures_%d_%d", os.Getpid(), time.Now().UnixNano())
	return cluster.Start(ctx, cfg)
}

// system gives the cluster of all benchmarks.
func system(b *testing.B) *clients {
	b.Helper()
	needPostgres(b)
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "gatehouse-figures-"); shared.err == nil { //nolint:usetesting // it outlives this benchmark
			shared.c, shared.err = start(shared.dir, cluster.Config{Gateways: 8, Auths: 2, Brokers: 3, Direct: true})
		}
	})
	if shared.err != nil {
		b.Fatal(shared.err)
	}
	return newClients(b, shared.c)
}
