package sqlstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
)

// crowd is how many users the benchmark searches.
const crowd = 1_000_000

// fill makes users with first names of 500 kinds, last names of 5,000 and
// addresses of their own; one in 10,000 is a manager and one in 1,000 is locked.
func fill(b *testing.B, db *sqldb.DB) {
	b.Helper()
	const batch = 10_000
	for from := 0; from < crowd; from += batch {
		_, err := db.ExecContext(b.Context(), `INSERT INTO users (`+columns+`, search)
			SELECT id, email, TRUE, CASE WHEN k % 10000 = 7 THEN '["manager","user"]' ELSE '["user"]' END,
				CASE WHEN k % 1000 = 5 THEN 'locked' ELSE 'active' END, 1700000000000000 + CAST(k AS BIGINT) * 1000, 0, 0, 1, id, first, last, '', '', '', '', 0,
				id || chr(10) || email || chr(10) || first || ' ' || last || chr(10) || last || ', ' || first || chr(10)
			FROM (SELECT k, '0190a000-0000-7000-8000-' || lpad(to_hex(k), 12, '0') AS id, 'person' || k || '@example' || (k % 97) || '.com' AS email,
				substr(md5('first' || (k * 7 % 500)), 1, 7) AS first, substr(md5('last' || (k * 13 % 5000)), 1, 9) AS last
				FROM generate_series($1::int, $2::int) AS k) AS made`, from, from+batch-1)
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, statement := range []string{`VACUUM ANALYZE users`} {
		if _, err := db.ExecContext(b.Context(), statement); err != nil {
			b.Log(err) // statistics are nice to have
		}
	}
}

// BenchmarkStore_Search measures pages of 50 among a million users on
// PostgreSQL: the p99 of each kind of search, each with other words every time.
func BenchmarkStore_Search(b *testing.B) {
	db, err := sqldb.Open(b.Context(), testenv.Postgres(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	s, err := Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	if !s.byText {
		b.Skip("this PostgreSQL has no pg_trgm")
	}
	fill(b, db)
	var first, last []string
	if err := db.SelectContext(b.Context(), &first, `SELECT DISTINCT first_name FROM users LIMIT 500`); err != nil {
		b.Fatal(err)
	}
	if err := db.SelectContext(b.Context(), &last, `SELECT DISTINCT last_name FROM users LIMIT 5000`); err != nil {
		b.Fatal(err)
	}
	deep := func(i int) user.Cursor {
		return user.Cursor{CreatedAt: time.UnixMicro(1700000000000000 + int64(i*7919%crowd)*1000), ID: "0190a000-0000-7000-8000-000000000000"}
	}
	for _, c := range []struct {
		name   string
		filter func(i int) user.Filter
	}{
		{"address", func(i int) user.Filter { return user.Filter{Query: fmt.Sprintf("person%d@", i*7919%crowd)} }},
		{"last-name", func(i int) user.Filter { return user.Filter{Query: last[i%len(last)]} }},
		{"first-name", func(i int) user.Filter { return user.Filter{Query: first[i%len(first)]} }},
		{"domain", func(i int) user.Filter { return user.Filter{Query: fmt.Sprintf("@example%d.com", i%97)} }},
		{"nobody", func(i int) user.Filter { return user.Filter{Query: fmt.Sprintf("nobody%d", i)} }},
		{"two-letters", func(i int) user.Filter { return user.Filter{Query: last[i%len(last)][:2]} }},
		{"rare-role", func(i int) user.Filter { return user.Filter{Role: "manager", After: deep(i)} }},
		{"locked", func(i int) user.Filter { return user.Filter{Status: "locked", After: deep(i)} }},
		{"deep-page", func(i int) user.Filter { return user.Filter{After: deep(i)} }},
		{"deep-page-of-a-domain", func(i int) user.Filter { return user.Filter{Query: "@example5", After: deep(i)} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			for i := 0; b.Loop(); i++ {
				f := c.filter(i)
				f.Limit = user.DefaultLimit + 1
				began := time.Now()
				if _, err := s.List(b.Context(), f); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
		})
	}
}
