package sqldb_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// valve carries connections to a server, and holds back what the server says
// while it is shut, as a server does that hangs.
type valve struct {
	shut atomic.Bool
	mu   sync.Mutex
	open []io.Closer
	work sync.WaitGroup
}

// through gives the URL of a database behind a valve.
func through(t *testing.T, database string) (string, *valve) {
	t.Helper()
	parsed, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v, target := &valve{}, parsed.Host
	v.work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			v.carry(client, target)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		v.mu.Lock()
		for _, conn := range v.open {
			_ = conn.Close()
		}
		v.mu.Unlock()
		v.work.Wait()
	})
	parsed.Host = listener.Addr().String()
	return parsed.String(), v
}

func (v *valve) carry(client net.Conn, target string) {
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	v.mu.Lock()
	v.open = append(v.open, client, server)
	v.mu.Unlock()
	v.work.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	v.work.Go(func() {
		defer func() { _ = client.Close() }()
		buffer := make([]byte, 32<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			if !v.shut.Load() {
				_, _ = client.Write(buffer[:n])
			}
		}
	})
}

// F23 and F22 for the database: whoever gave a call 100 ms has it back soon
// after, although the server says nothing at all.
func TestPostgres_aHungServerHoldsUpNobodyBeyondHisContext(t *testing.T) {
	address, v := through(t, testenv.Postgres(t))
	db := open(t, address)
	insert(t, db, "a")
	v.shut.Store(true)
	for name, call := range map[string]func(context.Context) error{
		"ping":  db.PingContext,
		"query": func(ctx context.Context) error { var n int; return db.GetContext(ctx, &n, "SELECT 1") },
		"exec":  func(ctx context.Context) error { _, err := db.ExecContext(ctx, "SELECT 1"); return err },
		"transaction": func(ctx context.Context) error {
			return sqldb.InTx(ctx, db, func(context.Context, *sqlx.Tx) error { return nil })
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		err := sqldb.Unavailable(call(ctx))
		cancel()
		if took := time.Since(began); !fault.Is(err, fault.Unavailable) || took > 4*time.Second {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
	v.shut.Store(false)
	deadline := time.Now().Add(20 * time.Second)
	for db.PingContext(t.Context()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the database does not come back")
		}
	}
	insert(t, db, "b")
	// The same in the middle of a transaction, and at its commit.
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		v.shut.Store(true)
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err := tx.ExecContext(ctx, "UPDATE things SET count = 1")
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("statement of a transaction: %v", err)
	}
	v.shut.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	err = sqldb.InTx(ctx, db, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE things SET count = 2")
		v.shut.Store(true)
		return err
	})
	if took := time.Since(began); !fault.Is(err, fault.Unavailable) || took > 4*time.Second {
		t.Errorf("commit: %v after %s", err, took)
	}
	v.shut.Store(false)
}

func BenchmarkPointRead(b *testing.B) {
	for _, c := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", testenv.SQLite}, {"postgres", testenv.Postgres}} {
		b.Run(c.name, func(b *testing.B) {
			db := open(b, c.url(b))
			insert(b, db, "a")
			ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
			defer cancel()
			var n int
			for b.Loop() {
				if err := db.GetContext(ctx, &n, "SELECT count FROM things WHERE id = $1", "a"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
