package sqlstore_test

import (
	"context"
	"testing"

	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

func TestReadOnly_changes_nothing_and_wants_a_schema_that_is_up_to_date(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		exec := func(query string) {
			t.Helper()
			if _, err := db.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sqlstore.ReadOnly(t.Context(), db); err == nil {
			t.Error("an empty database is taken")
		}
		if _, err := db.ExecContext(t.Context(), `SELECT 1 FROM goose_db_version`); err == nil {
			t.Error("it was not empty afterwards")
		}
		if _, err := sqlstore.New(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlstore.ReadOnly(t.Context(), db); err != nil {
			t.Errorf("a schema that is up to date: %v", err)
		}
		exec(`DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)`)
		if _, err := sqlstore.ReadOnly(t.Context(), db); err == nil {
			t.Error("the schema of the version before is taken")
		}
	})
}

func TestBeside_and_ReadOnly_leave_the_epoch_of_a_service_that_runs(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		_, db := open(t, url)
		if _, err := db.ExecContext(t.Context(), `UPDATE revocation_state SET incarnation = 'this one' WHERE id = 1`); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			open func(context.Context, *sqldb.DB) (*sqlstore.Store, error)
			want string
		}{
			{"ReadOnly", sqlstore.ReadOnly, "this one"}, {"Beside", sqlstore.Beside, "this one"},
			{"New", sqlstore.New, map[sqldb.Dialect]string{sqldb.SQLite: "", sqldb.Postgres: "this one"}[db.Dialect()]},
		} {
			if _, err := c.open(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := db.GetContext(t.Context(), &got, `SELECT incarnation FROM revocation_state WHERE id = 1`); err != nil || got != c.want {
				t.Errorf("%s leaves %q (%v), want %q", c.name, got, err, c.want)
			}
		}
	})
}
