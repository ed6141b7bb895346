package trail_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/shared/embedded/testenv"
)

// problem fails unless verify finds one problem with the text.
func (w *world) problem(want string) {
	w.t.Helper()
	if r := w.verify(); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], want) {
		w.t.Errorf("problems %q, want one with %q", r.Problems, want)
	}
}

func TestTrail_S_A1_an_order_that_the_service_has_not_given_erases_nobody(t *testing.T) {
	each(t, func(w *world) {
		w.add(3, "mallory")
		w.link()
		w.exec(`INSERT INTO audit_erasures (user_id, pseudonym, created_at) VALUES ('mallory', 'erased-x', 0)`)
		w.remove("gone", "erased-a") // one who is in order goes all the same
		w.add(2, "gone")
		if err := w.keeper.Erase(t.Context()); err == nil || !strings.Contains(err.Error(), "1 orders") {
			t.Errorf("the order that is none: %v", err)
		}
		if n := w.naming("mallory"); n != 3 {
			t.Errorf("%d entries name who wrote his own order, want 3", n)
		}
		if n := w.naming("gone"); n != 0 {
			t.Errorf("%d entries name the deleted account", n)
		}
		w.whole(6)
	})
}

func TestTrail_S_A1_an_order_changed_to_another_account_erases_nobody(t *testing.T) {
	each(t, func(w *world) {
		w.add(3, "mallory")
		w.remove("gone", "erased-a")
		w.exec(`UPDATE audit_erasures SET user_id = 'mallory'`)
		if err := w.keeper.Erase(t.Context()); err == nil {
			t.Error("the order is taken")
		}
		if n := w.naming("mallory"); n != 3 {
			t.Errorf("%d entries name who changed the order, want 3", n)
		}
	})
}

// digestOf is what the chain holds of a part, as whoever can read the database
// works it out.
func (w *world) digestOf(number uint64, part int) string {
	w.t.Helper()
	found, err := w.store.TrailEntries(w.t.Context(), number-1, 1)
	if err != nil || len(found) != 1 {
		w.t.Fatal(len(found), err)
	}
	digest := trail.DigestOf(&found[0], part)
	return hex.EncodeToString(digest[:])
}

func TestTrail_S_A1_the_pseudonym_of_somebody_else_is_no_hiding_place(t *testing.T) {
	each(t, func(w *world) {
		w.remove("gone", "erased-a")
		w.add(2, "gone")
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.add(1, "mallory")
		w.link()
		w.whole(4)
		erased := w.digestOf(4, trail.Actor) + "," + w.digestOf(4, trail.Target) + "," + w.digestOf(4, trail.Origin)
		w.exec(`UPDATE audit SET actor_id = 'erased-a', target_id = 'erased-a', session_id = '', address = '', user_agent = '', request_id = '',
			erased = $1 WHERE number = 4`, erased)
		w.problem("entry 4 ")
		// A seal of another entry is none of this one.
		w.exec(`UPDATE audit SET salts = (SELECT salts FROM audit AS x WHERE x.number = 3) WHERE number = 4`)
		w.problem("entry 4 ")
	})
}

func TestTrail_S_A1_the_Keeper_seals_nothing_that_somebody_else_has_erased(t *testing.T) {
	each(t, func(w *world) {
		w.add(1, "mallory")
		w.remove("gone", "erased-a")
		w.link()
		// As if it were an entry of the account that is about to go.
		erased := w.digestOf(1, trail.Actor) + "," + w.digestOf(1, trail.Target) + "," + w.digestOf(1, trail.Origin)
		w.exec(`UPDATE audit SET actor_id = 'gone', target_id = 'gone', session_id = '', address = '', user_agent = '', request_id = '',
			erased = $1 WHERE number = 1`, erased)
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.problem("entry 1 ")
	})
}

func TestTrail_a_pseudonym_that_nobody_announced_is_found(t *testing.T) {
	each(t, func(w *world) {
		w.add(3, "ada")
		w.commit(func(ctx context.Context, tx auth.Tx) error {
			return tx.AddErasure(ctx, w.order("ada", auth.PseudonymPrefix+"x"))
		})
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.problem("which no entry announces")
	})
}

func TestTrail_S_A1_whoever_holds_the_linking_up_leaves_a_trace(t *testing.T) {
	for name, hide := range map[string]string{
		"":                                    `SELECT 1`,
		"with the time taken away":            `UPDATE audit_chain SET kept_at = 0, kept_seal = ''`,
		"with a time of his own":              `UPDATE audit_chain SET kept_at = kept_at + 300000000`,
		"with a time of his own, and no seal": `UPDATE audit_chain SET kept_at = kept_at + 300000000, kept_seal = 'no seal'`,
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				w.add(3, "ada")
				w.link()
				var seal string
				if err := w.db.GetContext(t.Context(), &seal, `SELECT head_seal FROM audit_chain`); err != nil {
					t.Fatal(err)
				}
				w.exec(`UPDATE audit_chain SET head_seal = '00'`)
				w.add(5, "mallory")
				w.now = w.now.Add(5 * time.Minute)
				if err := w.keeper.Link(t.Context()); err == nil {
					t.Error("it links on from a seal that is none")
				}
				w.exec(`DELETE FROM audit WHERE actor_id = 'mallory'`)
				w.exec(`UPDATE audit_chain SET head_seal = $1`, seal)
				w.exec(hide)
				w.link()
				if r := w.whole(4); len(r.Gaps) != 1 || !strings.Contains(r.Gaps[0], "entry 4: ") {
					t.Errorf("gaps %q", r.Gaps)
				}
			})
		})
	}
}

func TestTrail_a_trail_without_news_is_kept_all_the_same(t *testing.T) {
	w := newWorld(t, testenv.SQLite(t))
	w.add(1, "ada")
	w.link()
	for range 20 {
		w.now = w.now.Add(50 * time.Second)
		w.link()
	}
	if r := w.whole(1); len(r.Gaps) != 0 || !r.Kept.Equal(w.now) {
		t.Errorf("kept at %v of %v, gaps %q", r.Kept, w.now, r.Gaps)
	}
	another := w.another(key(1))
	another.Now = func() time.Time { return w.now.Add(-30 * time.Second) } // a clock that is slow
	w.add(1, "ada")
	if err := another.Link(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := w.whole(2); !r.Kept.Equal(w.now) {
		t.Errorf("kept at %v of %v", r.Kept, w.now)
	}
}

func TestTrail_more_deletions_than_a_page_holds_are_all_caught_up_with(t *testing.T) {
	each(t, func(w *world) {
		w.add(1, "late")
		w.link()
		for i := range 500 { // done with, but kept for a day
			e := w.order(fmt.Sprint("u", i), fmt.Sprint(auth.PseudonymPrefix, i))
			w.commit(func(ctx context.Context, tx auth.Tx) error { return tx.AddErasure(ctx, e) })
		}
		w.now = w.now.Add(time.Second)
		w.remove("late", auth.PseudonymPrefix+"late")
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.naming("late"); n != 0 {
			t.Errorf("%d entries name the 501st account", n)
		}
		w.whole(2)
	})
}

func TestTrail_the_key_of_pseudonyms_outlives_the_one_that_seals(t *testing.T) {
	each(t, func(w *world) {
		w.remove("gone", "erased-a")
		w.add(2, "gone")
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.keeper = w.another(key(2), key(1))
		if err := w.keeper.Reseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.keeper = w.another(key(2)) // the old key is gone
		w.whole(3)
		if r := w.verify(); r.Erased != 3 || !r.Kept.Equal(w.now) {
			t.Errorf("%d erased, kept at %v", r.Erased, r.Kept)
		}
		w.exec(`UPDATE audit_chain SET eraser_key = '00'`)
		if err := w.keeper.Link(t.Context()); err == nil {
			t.Error("it makes another key where one does not open")
		}
		w.problem("the key of the pseudonyms")
	})
}

func TestKeeper_Standing_tells_what_waits_and_when_the_trail_was_kept(t *testing.T) {
	w := newWorld(t, testenv.SQLite(t))
	w.add(1, "ada")
	w.link()
	kept := w.now
	w.add(2, "ada")
	w.now = w.now.Add(20 * time.Second)
	got, err := w.keeper.Standing(t.Context())
	if want := (trail.Standing{Waiting: 2, Age: 20 * time.Second, Kept: kept}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	w.exec(`UPDATE audit_chain SET kept_at = kept_at + 1`)
	if got, err = w.keeper.Standing(t.Context()); err != nil || !got.Kept.IsZero() {
		t.Errorf("a time of somebody else is believed: %+v, %v", got, err)
	}
}
