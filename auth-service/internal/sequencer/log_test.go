package sequencer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// logUnderTest is a log, and what the contract needs around it.
type logUnderTest struct {
	revocationLog
	// begin writes rows in a transaction, and returns what commits it.
	begin func(t *testing.T, rows ...row) (commit func())
	// many is true if another transaction can go on while one is open.
	many bool
	// replace has the log find itself in another incarnation of its database.
	replace func(t *testing.T)
}

// eachLog runs a part of the contract on every log there is.
func eachLog(t *testing.T, run func(t *testing.T, l logUnderTest)) {
	t.Run("memory", func(t *testing.T) {
		m := newMemoryLog(func() fate { return granted })
		var mu sync.Mutex // a simulation has no two goroutines; this contract has
		run(t, logUnderTest{
			revocationLog: lockedLog{m, &mu}, many: true, replace: func(*testing.T) { m.incarnation++ },
			begin: func(_ *testing.T, rows ...row) func() {
				return func() {
					mu.Lock()
					defer mu.Unlock()
					m.insert(rows...)
				}
			},
		})
	})
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s := newSystem(t, url)
		l := newSQLLog(s.db)
		run(t, logUnderTest{
			revocationLog: l, many: s.db.Dialect() == sqldb.Postgres, begin: s.begin,
			replace: func(t *testing.T) {
				if err := l.write(t.Context(), "replace", `UPDATE revocation_state SET incarnation = 'another'`); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// lockedLog serialises what numbers, as the state's row lock does.
type lockedLog struct {
	*memoryLog
	mu *sync.Mutex
}

func (l lockedLog) number(ctx context.Context) (state, []row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memoryLog.number(ctx)
}

func (s *system) begin(t *testing.T, rows ...row) (commit func()) {
	t.Helper()
	tx, err := s.db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		insertRow(t, tx, &rows[i])
	}
	return func() {
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func insertRow(t *testing.T, tx *sqlx.Tx, r *row) {
	t.Helper()
	_, err := tx.ExecContext(t.Context(), `INSERT INTO revocations (id, kind, subject, min_version, cause, expires_at, created_at)
		VALUES ($1, $2, $3, $4, 'test', $5, $6)`, r.ID, int64(r.Kind), r.Subject, int64(r.MinVersion), r.ExpiresAt, r.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
}

// rowAt is a row that was created and expires at the given seconds.
func rowAt(id string, created, expires int64) row {
	return row{ID: id, Kind: byte(contract.RevokeSession), Subject: "of " + id, CreatedAt: created * 1e6, ExpiresAt: expires * 1e6}
}

func (l logUnderTest) mustNumber(t *testing.T) (s state, ids []string) {
	t.Helper()
	s, rows, err := l.number(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Given != uint64(len(rows)) {
		t.Errorf("%d numbers are said to be given, to %d rows", s.Given, len(rows))
	}
	for i := range rows {
		if want := s.Last - uint64(len(rows)-1-i); rows[i].Number != want {
			t.Errorf("row %s has number %d, want %d", rows[i].ID, rows[i].Number, want)
		}
		ids = append(ids, rows[i].ID)
	}
	return s, ids
}

func (l logUnderTest) mustLook(t *testing.T) state {
	t.Helper()
	s, err := l.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLog_numbers_are_consecutive_in_the_order_of_creation(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		l.begin(t, rowAt("c", 3, 99), rowAt("b", 1, 99), rowAt("a", 1, 99))()
		if s := l.mustLook(t); !s.Open || s.Last != 0 || s.Oldest != 1 {
			t.Errorf("state %+v before numbering", s)
		}
		s, ids := l.mustNumber(t)
		if diff := cmp.Diff([]string{"a", "b", "c"}, ids); diff != "" {
			t.Errorf("order of numbers (-want +got):\n%s", diff)
		}
		if s.Last != 3 || s.Open || s.Oldest != 1 {
			t.Errorf("state %+v after numbering", s)
		}
		if s, ids := l.mustNumber(t); len(ids) != 0 || s.Last != 3 {
			t.Errorf("rows %v were numbered twice; state %+v", ids, s)
		}
		numbers, err := l.numbersOf(t.Context(), []string{"b", "unknown"})
		if diff := cmp.Diff(map[string]uint64{"b": 2}, numbers); diff != "" || err != nil {
			t.Errorf("numbers, %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestLog_F28_what_commits_late_is_numbered_late(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		if !l.many {
			t.Skip("this database has one writer: nothing commits while a transaction is open")
		}
		early := l.begin(t, rowAt("early", 1, 99))
		l.begin(t, rowAt("late", 2, 99))()
		if s, ids := l.mustNumber(t); !slices.Equal(ids, []string{"late"}) || s.Open {
			t.Errorf("%v numbered, state %+v, want what is committed and no sign of the rest", ids, s)
		}
		early()
		if s := l.mustLook(t); !s.Open {
			t.Error("a row that was committed late is not seen")
		}
		if s, ids := l.mustNumber(t); !slices.Equal(ids, []string{"early"}) || s.Last != 2 {
			t.Errorf("%v numbered, state %+v", ids, s)
		}
	})
}

func TestLog_F27_two_that_number_at_once_give_each_number_once(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		var (
			group sync.WaitGroup
			mu    sync.Mutex
			given = map[uint64]string{}
		)
		for w := range 4 {
			group.Go(func() {
				for i := range 10 {
					l.begin(t, rowAt(fmt.Sprintf("%d-%d", w, i), int64(i), 99))()
					_, rows, err := l.number(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, r := range rows {
						if other, taken := given[r.Number]; taken {
							t.Errorf("number %d was given to %s and %s", r.Number, other, r.ID)
						}
						given[r.Number] = r.ID
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if s := l.mustLook(t); s.Last != 40 || s.Open || len(given) != 40 {
			t.Errorf("%d numbers given, state %+v, want 1..40", len(given), s)
		}
	})
}

func TestLog_a_batch_names_epoch_and_oldest_of_its_numbers(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		l.begin(t, rowAt("a", 1, 10), rowAt("b", 2, 30), rowAt("c", 3, 20), rowAt("d", 4, 40))()
		first, _ := l.mustNumber(t)
		if n, err := l.prune(t.Context(), time.Unix(25, 0), 5); n != 1 || err != nil { // c has expired, but b before it has not
			t.Fatalf("%d pruned, %v, want a alone", n, err)
		}
		for _, test := range []struct {
			from, to, first, oldest uint64
			entries                 int
		}{{1, 4, 2, 2, 3}, {2, 3, 2, 2, 2}, {4, 9, 4, 2, 1}, {5, 9, 5, 2, 0}} {
			b, err := l.batch(t.Context(), test.from, test.to)
			if err != nil || b.First != test.first || b.Oldest != test.oldest || len(b.Entries) != test.entries || b.Epoch != first.Epoch {
				t.Errorf("numbers %d..%d: %+v, %v, want %+v", test.from, test.to, b, err, test)
			}
		}
		for _, step := range []struct {
			below uint64
			want  int
		}{{2, 0}, {4, 2}, {9, 1}, {9, 0}} {
			if n, err := l.prune(t.Context(), time.Unix(99, 0), step.below); n != step.want || err != nil {
				t.Errorf("%d pruned below %d, %v, want %d", n, step.below, err, step.want)
			}
		}
		if s := l.mustLook(t); s.Oldest != 5 || s.Last != 4 {
			t.Errorf("state %+v after everything has expired", s)
		}
	})
}

func TestLog_published_rises_without_gaps_and_within_its_epoch(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		l.begin(t, rowAt("a", 1, 99), rowAt("b", 2, 99), rowAt("c", 3, 99))()
		epoch := func() uint64 { return l.mustLook(t).Epoch }
		l.mustNumber(t)
		for _, step := range []struct {
			name string
			do   func() error
			want uint64
		}{
			{"a gap before it", func() error { return l.markPublished(t.Context(), flight{epoch: epoch(), first: 2, last: 3}) }, 0},
			{"another epoch", func() error { return l.markPublished(t.Context(), flight{epoch: epoch() + 1, first: 1, last: 3}) }, 0},
			{"the first two", func() error { return l.markPublished(t.Context(), flight{epoch: epoch(), first: 1, last: 2}) }, 2},
			{"less again", func() error { return l.markPublished(t.Context(), flight{epoch: epoch(), first: 1, last: 1}) }, 2},
			{"a rewind to more", func() error { return l.rewind(t.Context(), epoch(), 3) }, 2},
			{"a rewind of another epoch", func() error { return l.rewind(t.Context(), epoch()+1, 1) }, 2},
			{"a rewind", func() error { return l.rewind(t.Context(), epoch(), 1) }, 1},
			{"an epoch that is not newer", func() error { return l.openEpoch(t.Context(), epoch()-1) }, 1},
			{"a new epoch", func() error { return l.openEpoch(t.Context(), epoch()) }, 0},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			if got := l.mustLook(t); got.Published != step.want || got.Last != 3 {
				t.Errorf("after %s: state %+v, want %d published", step.name, got, step.want)
			}
		}
	})
}

func TestLog_F24_another_incarnation_of_the_database_opens_an_epoch_before_it_numbers(t *testing.T) {
	eachLog(t, func(t *testing.T, l logUnderTest) {
		l.begin(t, rowAt("a", 1, 99))()
		before, _ := l.mustNumber(t)
		if s := l.mustLook(t); s.Moved {
			t.Error("the database that has numbered is taken for another one")
		}
		l.begin(t, rowAt("b", 2, 99))()
		l.replace(t)
		if s := l.mustLook(t); !s.Moved {
			t.Fatal("another incarnation is not seen")
		}
		s, ids := l.mustNumber(t)
		if !s.Moved || s.Epoch <= before.Epoch || s.Published != 0 || !slices.Equal(ids, []string{"b"}) || s.Last != 2 {
			t.Errorf("%v numbered, state %+v after epoch %d", ids, s, before.Epoch)
		}
		if again, _ := l.mustNumber(t); again.Moved || again.Epoch != s.Epoch {
			t.Errorf("state %+v, want epoch %d to stay", again, s.Epoch)
		}
	})
}
