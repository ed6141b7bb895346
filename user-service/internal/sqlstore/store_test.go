package sqlstore

import (
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// open returns a store over the database at url, which is closed after the
// test.
func open(t *testing.T, url string) *Store {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	s, err := Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		t.Run(name, func(t *testing.T) {
			usertest.TestStore(t, func(t *testing.T) user.Store { return open(t, url(t)) })
		})
	}
}

func TestStore_Installation(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		first, second := open(t, url), open(t, url)
		a, err := first.Installation(t.Context())
		if err != nil || a == "" {
			t.Fatalf("%q, %v", a, err)
		}
		if b, err := second.Installation(t.Context()); err != nil || b != a {
			t.Errorf("another replica has %q, %v; want %q", b, err, a)
		}
		other, err := open(t, testenv.SQLite(t)).Installation(t.Context())
		if err != nil || other == a {
			t.Errorf("another database has %q too, %v", other, err)
		}
	})
}

func TestStore_tombstone(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s := open(t, url)
		for _, r := range []user.Record{usertest.Sample(1), {ID: usertest.ID(1), Status: contract.StatusDeleted}} {
			if _, err := s.Change(t.Context(), r.ID, func(user.Record) (user.Record, error) { return r, nil }); err != nil {
				t.Fatal(err)
			}
		}
		var left string
		err := s.db.GetContext(t.Context(), &left, `SELECT search || email || coalesce(first_name, '') || coalesce(last_name, '') || display_name FROM users`)
		if err != nil || left != "" {
			t.Errorf("of the person is left %q, %v", left, err)
		}
	})
}

func TestStore_databaseAway(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s := open(t, url)
		ctx := t.Context()
		if _, err := s.db.ExecContext(ctx, `DROP TABLE users`); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(ctx, usertest.ID(1)); err == nil || fault.Is(err, fault.NotFound) {
			t.Errorf("Find without a table: %v", err)
		}
		if err := s.db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(ctx, usertest.ID(1)); err == nil {
			t.Error("Find on a closed database: no error")
		}
		if _, err := s.List(ctx, user.Filter{Limit: 1}); err == nil {
			t.Error("List on a closed database: no error")
		}
		if _, err := s.Change(ctx, usertest.ID(1), func(r user.Record) (user.Record, error) { return r, nil }); err == nil {
			t.Error("Change on a closed database: no error")
		}
		if _, err := s.Installation(ctx); err == nil {
			t.Error("Installation on a closed database: no error")
		}
	})
}
