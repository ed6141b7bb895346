package sequencer

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// deafTo gives the URL of a database of which nothing is heard any more once
// deaf is true, as a process hears nothing that has been stopped.
func deafTo(t *testing.T, database string, deaf *atomic.Bool) string {
	t.Helper()
	at, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		work   sync.WaitGroup
		target = at.Host
	)
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { carry(client, target, deaf) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait() // its clients have closed their connections
	})
	at.Host = listener.Addr().String()
	return at.String()
}

// carry connects the client until it closes.
func carry(client net.Conn, target string, deaf *atomic.Bool) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		part := make([]byte, 64<<10)
		for {
			n, err := server.Read(part)
			if err != nil {
				return
			}
			if !deaf.Load() {
				_, _ = client.Write(part[:n]) // the other direction sees if it is gone
			}
		}
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	answers.Wait()
}

func TestLog_F27_a_process_that_stops_while_it_numbers_does_not_keep_others_from_it(t *testing.T) {
	database := testenv.Postgres(t)
	s := newSystem(t, database)
	var deaf atomic.Bool
	db, err := sqldb.Open(t.Context(), deafTo(t, database, &deaf))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := newSQLLog(db).look(t.Context()); err != nil { // so that it has a connection
		t.Fatal(err)
	}
	s.insert(2)
	deaf.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopped sync.WaitGroup
	defer stopped.Wait()
	stopped.Go(func() {
		if _, rows, err := newSQLLog(db).number(ctx); err == nil {
			t.Errorf("the one that stopped has heard of %d rows", len(rows))
		}
	})
	l := newSQLLog(s.db)
	s.eventually("what the stopped one has sent is carried out", 30*time.Second, func() bool {
		at, err := l.look(t.Context())
		return err == nil && at.Last == 2 && !at.Open
	})
	s.insert(1)
	if _, rows, err := l.number(t.Context()); err != nil || len(rows) != 1 || rows[0].Number != 3 {
		t.Errorf("numbered %+v, %v; want the third row alone", rows, err)
	}
	cancel()
}

func TestLog_a_numbering_that_fails_leaves_no_transaction_behind(t *testing.T) {
	s := newSystem(t, testenv.Postgres(t))
	s.insert(1)
	s.db.SetMaxOpenConns(1)
	if _, err := s.db.ExecContext(t.Context(), `ALTER TABLE revocation_state ADD CONSTRAINT none CHECK (last_number < 1)`); err != nil {
		t.Fatal(err)
	}
	l := newSQLLog(s.db)
	for range 2 {
		if _, rows, err := l.number(t.Context()); err == nil {
			t.Fatalf("numbered %+v in spite of the constraint", rows)
		}
	}
	if _, err := s.db.ExecContext(t.Context(), `ALTER TABLE revocation_state DROP CONSTRAINT none`); err != nil {
		t.Fatal(err)
	}
	if _, rows, err := l.number(t.Context()); err != nil || len(rows) != 1 || rows[0].Number != 1 {
		t.Errorf("numbered %+v, %v; want the row", rows, err)
	}
}
