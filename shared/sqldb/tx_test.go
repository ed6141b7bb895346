package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

func TestInTx(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, url string)
	}{
		{"32 writers in two pools lose no update and none starves", noLostUpdate},
		{"statements outside a transaction queue with the others", statementsQueue},
		{"an error rolls back and comes back unchanged", errorRollsBack},
		{"a panic rolls back and goes on", panicRollsBack},
		{"a transaction inside itself is refused", nestedIsRefused},
		{"a context that has ended is an error", endedContext},
		{"readers do not wait for a writer", readersGoOn},
		{"a failure that passes is run again", retried},
	} {
		t.Run(c.name, func(t *testing.T) { testenv.EachDatabase(t, c.run) })
	}
}

func count(t testing.TB, db *sqldb.DB, id string) (n int) {
	t.Helper()
	if err := db.GetContext(context.Background(), &n, "SELECT count FROM things WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
	return n
}

func noLostUpdate(t *testing.T, url string) {
	const writers, each = 32, 20
	first := open(t, url)
	second := connect(t, url) // as another process
	insert(t, first, "a")
	lock := "" // SQLite is serial; on PostgreSQL reading to write takes a lock
	if first.Dialect() == sqldb.Postgres {
		lock = " FOR UPDATE"
	}
	var work sync.WaitGroup
	var longest atomic.Int64
	for i := range writers {
		db := first
		if i%4 == 0 {
			db = second
		}
		work.Go(func() {
			for range each {
				began := time.Now()
				err := sqldb.InTx(context.Background(), db, func(ctx context.Context, tx *sqlx.Tx) error {
					var n int
					if err := tx.GetContext(ctx, &n, "SELECT count FROM things WHERE id = $1"+lock, "a"); err != nil {
						return err
					}
					_, err := tx.ExecContext(ctx, "UPDATE things SET count = $1 WHERE id = $2", n+1, "a")
					return err
				})
				if err != nil {
					t.Error(err)
				}
				for took := int64(time.Since(began)); ; {
					if old := longest.Load(); took <= old || longest.CompareAndSwap(old, took) {
						break
					}
				}
			}
		})
	}
	work.Wait()
	if got := count(t, first, "a"); got != writers*each {
		t.Errorf("%d updates were kept of %d", got, writers*each)
	}
	t.Logf("longest transaction %s", time.Duration(longest.Load()))
}

func statementsQueue(t *testing.T, url string) {
	db := open(t, url)
	insert(t, db, "a")
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			for range 10 {
				var err error
				if i%2 == 0 {
					_, err = db.ExecContext(context.Background(), "UPDATE things SET count = count + 1 WHERE id = $1", "a")
				} else {
					err = sqldb.InTx(context.Background(), db, func(ctx context.Context, tx *sqlx.Tx) error {
						_, err := tx.ExecContext(ctx, "UPDATE things SET count = count + 1 WHERE id = $1", "a")
						return err
					})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if got := count(t, db, "a"); got != 200 {
		t.Errorf("count is %d", got)
	}
}

func errorRollsBack(t *testing.T, url string) {
	db := open(t, url)
	wanted := errors.New("no")
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO things (id, count, flag) VALUES ('a', 1, true)")
		return errors.Join(err, wanted)
	})
	if !errors.Is(err, wanted) || fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	insert(t, db, "a")
}

func panicRollsBack(t *testing.T, url string) {
	db := open(t, url)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic ended in InTx")
			}
		}()
		_ = sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO things (id, count, flag) VALUES ('a', 1, true)")
			panic(err)
		})
	}()
	insert(t, db, "a")
}

func nestedIsRefused(t *testing.T, url string) {
	db := open(t, url)
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, _ *sqlx.Tx) error {
		return sqldb.InTx(ctx, db, func(context.Context, *sqlx.Tx) error { return nil })
	})
	if err == nil {
		t.Error("it was not refused")
	}
}

func endedContext(t *testing.T, url string) {
	db := open(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := sqldb.InTx(ctx, db, func(context.Context, *sqlx.Tx) error { return nil })
	if !errors.Is(err, context.Canceled) || fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	// The same while waiting for the turn to write.
	inside, leave := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		_ = sqldb.InTx(context.Background(), db, func(context.Context, *sqlx.Tx) error {
			close(inside)
			<-leave
			return nil
		})
	})
	<-inside
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if db.Dialect() == sqldb.SQLite {
		err = sqldb.InTx(ctx, db, func(context.Context, *sqlx.Tx) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
	}
	close(leave)
	holder.Wait()
}

func readersGoOn(t *testing.T, url string) {
	db := open(t, url)
	insert(t, db, "a")
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE things SET count = 7 WHERE id = 'a'"); err != nil {
			return err
		}
		for range 20 { // more than the pool has, one after another
			if n := count(t, db, "a"); n != 0 {
				return fmt.Errorf("a reader saw %d before the commit", n)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// passing is an error as the SQLite driver makes them.
type passing int

func (p passing) Error() string { return fmt.Sprintf("code %d", int(p)) }
func (p passing) Code() int     { return int(p) }

func retried(t *testing.T, url string) {
	db := open(t, url)
	for _, c := range []struct {
		failures, tries int
		kind            fault.Kind
	}{{2, 3, ""}, {100, 5, fault.Unavailable}} {
		tries := 0
		err := sqldb.InTx(t.Context(), db, func(context.Context, *sqlx.Tx) error {
			if tries++; tries <= c.failures {
				return fmt.Errorf("step: %w", passing(5|1<<8)) // busy, extended
			}
			return nil
		})
		if tries != c.tries || fault.KindOf(err) != c.kind {
			t.Errorf("%d failures: %d tries, %v", c.failures, tries, err)
		}
	}
}

func TestInTx_postgresDeadlockIsRunAgain(t *testing.T) {
	db := open(t, testenv.Postgres(t))
	insert(t, db, "a")
	insert(t, db, "b")
	var both, work sync.WaitGroup
	both.Add(2)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		once := sync.OnceFunc(both.Done)
		work.Go(func() {
			err := sqldb.InTx(context.Background(), db, func(ctx context.Context, tx *sqlx.Tx) error {
				for _, id := range order {
					if _, err := tx.ExecContext(ctx, "UPDATE things SET count = count + 1 WHERE id = $1", id); err != nil {
						return err
					}
					once()
					both.Wait() // each has its first row before either asks for the second
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if a, b := count(t, db, "a"), count(t, db, "b"); a != 2 || b != 2 {
		t.Errorf("counts are %d and %d", a, b)
	}
}

func TestInTx_postgresSerializationFailureIsRunAgain(t *testing.T) {
	db := open(t, testenv.Postgres(t))
	insert(t, db, "a")
	tries := 0
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		tries++
		if _, err := tx.ExecContext(ctx, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"); err != nil {
			return err
		}
		var n int
		if err := tx.GetContext(ctx, &n, "SELECT count FROM things WHERE id = 'a'"); err != nil {
			return err
		}
		if tries == 1 { // somebody else comes first
			if _, err := db.ExecContext(ctx, "UPDATE things SET count = count + 10 WHERE id = 'a'"); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE things SET count = $1 WHERE id = 'a'", n+1)
		return err
	})
	if err != nil || tries != 2 || count(t, db, "a") != 11 {
		t.Errorf("%d tries, count %d, %v", tries, count(t, db, "a"), err)
	}
}

func TestPostgres_aKilledConnectionIsUnavailableAndThenReplaced(t *testing.T) {
	db := open(t, testenv.Postgres(t))
	err := sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
		var pid int
		if err := tx.GetContext(ctx, &pid, "SELECT pg_backend_pid()"); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "SELECT pg_terminate_backend($1)", pid); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "SELECT 1")
		return err
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	insert(t, db, "a")
}
