package sqldb_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// onOneConnection opens the database with a pool of a single connection.
func onOneConnection(t testing.TB) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return db
}

// prepared counts the statements that the connection has prepared.
func prepared(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.GetContext(t.Context(), &n, `SELECT COUNT(*) FROM pg_prepared_statements`); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPostgres_what_comes_again_is_prepared_once(t *testing.T) {
	db := onOneConnection(t)
	for i := range 5 {
		var sum int
		if err := db.GetContext(t.Context(), &sum, `SELECT CAST($1 AS BIGINT) + 1`, i); err != nil || sum != i+1 {
			t.Fatalf("%d %v, want %d", sum, err, i+1)
		}
		if n := prepared(t, db); n != min(i, 1) {
			t.Errorf("%d statements are prepared after %d runs", n, i+1)
		}
	}
}

func TestPostgres_statements_of_a_single_use_are_not_prepared_and_others_are_bounded(t *testing.T) {
	db := onOneConnection(t)
	const texts = 300
	for i := range texts {
		var one int
		if err := db.GetContext(t.Context(), &one, fmt.Sprintf(`SELECT CAST($1 AS BIGINT) AS c%d`, i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := prepared(t, db); n != 0 {
		t.Errorf("%d statements that came once are prepared", n)
	}
	for i := range texts {
		for range 2 {
			var one int
			if err := db.GetContext(t.Context(), &one, fmt.Sprintf(`SELECT CAST($1 AS BIGINT) AS d%d`, i), 1); err != nil || one != 1 {
				t.Fatal(one, err)
			}
		}
	}
	if n := prepared(t, db); n != 256 {
		t.Errorf("%d statements are prepared, want the bound", n)
	}
}

func TestPostgres_a_statement_survives_a_change_of_the_table(t *testing.T) {
	db := onOneConnection(t)
	change := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	change(`CREATE TABLE things (id BIGINT, name BIGINT)`)
	change(`INSERT INTO things VALUES (1, 7)`)
	get := func(want string) {
		t.Helper()
		var name string
		if err := db.GetContext(t.Context(), &name, `SELECT name FROM things WHERE id = $1`, 1); err != nil || name != want {
			t.Errorf("%q %v, want %q", name, err, want)
		}
	}
	for range 3 {
		get("7")
	}
	change(`ALTER TABLE things ALTER COLUMN name TYPE TEXT USING 'seven'`)
	for range 3 {
		get("seven")
	}
}

func TestInTx_survives_a_change_of_the_table(t *testing.T) {
	db := onOneConnection(t)
	change := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	change(`CREATE TABLE things (id BIGINT, name BIGINT, reads BIGINT)`)
	change(`INSERT INTO things VALUES (1, 7, 0)`)
	read := func() (name string, err error) {
		return name, sqldb.InTx(t.Context(), db, func(ctx context.Context, tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, `UPDATE things SET reads = reads + 1 WHERE id = $1`, 1); err != nil {
				return err
			}
			return tx.GetContext(ctx, &name, `SELECT name FROM things WHERE id = $1`, 1)
		})
	}
	for range 3 {
		if name, err := read(); name != "7" || err != nil {
			t.Fatal(name, err)
		}
	}
	change(`ALTER TABLE things ALTER COLUMN name TYPE TEXT USING 'seven'`)
	if name, err := read(); name != "seven" || err != nil {
		t.Error(name, err)
	}
	var reads int
	if err := db.GetContext(t.Context(), &reads, `SELECT reads FROM things`); reads != 4 || err != nil {
		t.Errorf("%d reads are written down, want 4: %v", reads, err)
	}
}

// BenchmarkPostgres_lookup reads one row by its key, as most of what the
// services ask.
func BenchmarkPostgres_lookup(b *testing.B) {
	db := onOneConnection(b)
	for _, statement := range []string{
		`CREATE TABLE things (id TEXT PRIMARY KEY, a BIGINT, b BIGINT, c TEXT, d TEXT)`,
		`INSERT INTO things SELECT i, i, i, 'c', 'd' FROM generate_series(1, 1000) i`,
	} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		var a int
		if err := db.GetContext(b.Context(), &a, `SELECT a FROM things WHERE id = $1 AND b > $2 AND c = $3`, fmt.Sprint(i%1000+1), 0, "c"); err != nil {
			b.Fatal(err)
		}
	}
}
