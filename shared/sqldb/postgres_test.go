package sqldb

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/lib/pq/pqerror"

	"gatehouse.internal/shared/fault"
)

// silent is a server that takes connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				for _, c := range conns {
					_ = c.Close()
				}
				return
			}
			conns = append(conns, conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

func TestBoundedConn_aSilentServerEndsAReadWithinTheLimit(t *testing.T) {
	conn, err := (&boundedDialer{limit: 50 * time.Millisecond}).Dial("tcp", silent(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = conn.Read(make([]byte, 1))
	if !fault.Is(Unavailable(err), fault.Unavailable) || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	// A deadline that is set for all is kept when it is the earlier one.
	if err := conn.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err == nil {
		t.Error("wrote after the deadline")
	}
}

func TestOpen_aSilentServerIsGivenUpWithTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Open(ctx, "postgres://root@"+silent(t)+"/test?sslmode=disable&connect_timeout=1")
	if !fault.Is(err, fault.Unavailable) || time.Since(began) > 8*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
}

func TestUnavailable_keepsWhatIsAlreadyClassified(t *testing.T) {
	for _, err := range []error{nil, errors.New("else"), context.Canceled, fault.New(fault.Conflict, "")} {
		if got := Unavailable(err); !errors.Is(got, err) || fault.Is(got, fault.Unavailable) {
			t.Errorf("%v became %v", err, got)
		}
	}
	known := fault.Wrap(fault.Conflict, "", context.DeadlineExceeded)
	if got := Unavailable(known); !fault.Is(got, fault.Conflict) {
		t.Errorf("a conflict became %v", got)
	}
	for _, state := range []string{"08006", "57P01", "53300", "25006", "40001", "55P03"} {
		if !unavailableState(pqerror.Code(state)) {
			t.Errorf("%s is not taken for a database that is away", state)
		}
	}
	for _, state := range []string{"", "23505", "42601", "22001"} {
		if unavailableState(pqerror.Code(state)) {
			t.Errorf("%s is taken for a database that is away", state)
		}
	}
}
