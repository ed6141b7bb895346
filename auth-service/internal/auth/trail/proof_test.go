package trail_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whoever can write to the database works out hashes for entries that he has
// altered, as far as the service looks before it forgets them.
func TestTrail_S_A1_retention_deletes_nothing_that_does_not_lead_to_the_sealed_head(t *testing.T) {
	for _, altered := range []uint64{1, 500, 610} {
		t.Run(fmt.Sprint(altered), func(t *testing.T) {
			each(t, func(w *world) {
				w.keeper.Retention = 24 * time.Hour
				w.addMany(620)
				w.forge(altered)
				before := w.rows()
				err := w.keeper.Tidy(t.Context())
				if want := fmt.Sprintf("entry %d ", altered+1); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("told %v, want %q", err, want)
				}
				if after := w.rows(); after != before {
					t.Errorf("trail was %q, is %q", before, after)
				}
			})
		})
	}
}

func TestTrail_forgets_once_a_day_what_is_old_and_nothing_beside_it(t *testing.T) {
	each(t, func(w *world) {
		w.keeper.Retention = 24 * time.Hour
		w.addMany(510)
		w.now = w.now.Add(23 * time.Hour)
		w.add(10, "ada")
		w.link()
		forgotten := func(start, left uint64) {
			t.Helper()
			if err := w.keeper.Tidy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r := w.whole(left); r.Start.Number != start {
				t.Errorf("the trail starts after %d, want %d", r.Start.Number, start)
			}
		}
		forgotten(0, 521) // with the word that nobody kept the trail meanwhile
		w.now = w.now.Add(2 * time.Hour)
		forgotten(510, 11)
		w.now = w.now.Add(23*time.Hour + 59*time.Minute)
		forgotten(510, 11) // it was done within the day
		w.now = w.now.Add(time.Minute)
		forgotten(521, 0)
	})
}

// addMany links n events of one time.
func (w *world) addMany(n int) {
	w.t.Helper()
	w.add(1, "ada")
	w.exec(`INSERT INTO audit (id, at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id)
		WITH RECURSIVE n (k) AS (SELECT 2 UNION ALL SELECT k + 1 FROM n WHERE k < ` + fmt.Sprint(n) + `)
		SELECT 'e' || CAST(10000 + k AS TEXT), at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id FROM audit, n`)
	w.link()
	w.whole(uint64(n))
}

// forge makes the first n entries old, each with a hash that fits.
func (w *world) forge(n uint64) {
	w.t.Helper()
	changes, err := w.db.BeginTxx(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = changes.Rollback() }()
	at, done := time.UnixMicro(1).UTC(), uint64(0)
	for previous := [32]byte{}; done < n; {
		page, err := w.store.TrailEntries(w.t.Context(), done, 500)
		if err != nil || len(page) == 0 {
			w.t.Fatal(err)
		}
		for i := range page {
			e := &page[i]
			if e.Number > n {
				break
			}
			e.At = at
			previous, done = e.Rehash(previous), e.Number
			if _, err := changes.ExecContext(w.t.Context(), `UPDATE audit SET at = 1, hash = $1 WHERE number = $2`,
				fmt.Sprintf("%x", previous), int64(e.Number)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := changes.Commit(); err != nil {
		w.t.Fatal(err)
	}
}
