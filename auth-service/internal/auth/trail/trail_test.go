package trail_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// world is a trail on a real database.
type world struct {
	t      *testing.T
	db     *sqldb.DB
	store  *sqlstore.Store
	keeper *trail.Keeper
	log    bytes.Buffer
	now    time.Time
	ids    int
	mu     sync.Mutex
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, trail.KeySize) }

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, store: store, now: authtest.Start()}
	w.keeper = w.another(key(1))
	return w
}

// another is the keeper of another replica.
func (w *world) another(current []byte, earlier ...[]byte) *trail.Keeper {
	w.t.Helper()
	seal, err := trail.NewSealer(current, earlier...)
	if err != nil {
		w.t.Fatal(err)
	}
	return &trail.Keeper{Store: w.store, Seal: seal, Now: func() time.Time { return w.now }, Events: w,
		Log: slog.New(slog.NewTextHandler(&w.log, nil))}
}

// SystemEvent completes an event.
func (w *world) SystemEvent(e auth.AuditEvent) (auth.AuditEvent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	e.ID, e.At = authtest.ID(w.ids), w.now
	return e, nil
}

// order is an erasure with the seal of this world.
func (w *world) order(user, pseudonym string) auth.Erasure {
	e := auth.Erasure{UserID: user, Pseudonym: pseudonym, At: w.now}
	e.Seal = orderSeal(e)
	return e
}

// Ordered reports whether the erasure is from order.
func (w *world) Ordered(e auth.Erasure) bool { return bytes.Equal(e.Seal, orderSeal(e)) }

func orderSeal(e auth.Erasure) []byte {
	sum := sha256.Sum256(fmt.Append(nil, "seal", e.UserID, " ", e.Pseudonym, e.At.UnixMicro()))
	return sum[:]
}

// remove has a user's account deleted, with a pseudonym.
func (w *world) remove(user, pseudonym string) {
	w.t.Helper()
	said, _ := w.SystemEvent(auth.AuditEvent{Event: auth.EventPseudonymised, ActorID: user, TargetID: pseudonym})
	w.commit(func(ctx context.Context, tx auth.Tx) error {
		if err := tx.AddAudit(ctx, said); err != nil {
			return err
		}
		return tx.AddErasure(ctx, w.order(user, pseudonym))
	})
}

// naming counts the entries that name a user.
func (w *world) naming(user string) (n int) {
	w.t.Helper()
	if err := w.db.GetContext(w.t.Context(), &n, `SELECT COUNT(*) FROM audit WHERE actor_id = $1 OR target_id = $1`, user); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// add commits n events of a user.
func (w *world) add(n int, user string) {
	w.t.Helper()
	for range n {
		e, _ := w.SystemEvent(auth.AuditEvent{Event: "login", Outcome: "success", ActorID: user, TargetID: user, SessionID: "s",
			Address: "192.0.2.1", UserAgent: "ünï", RequestID: "r"})
		w.commit(func(ctx context.Context, tx auth.Tx) error { return tx.AddAudit(ctx, e) })
	}
}

func (w *world) commit(change func(ctx context.Context, tx auth.Tx) error) {
	w.t.Helper()
	if err := w.store.InTx(w.t.Context(), func(tx auth.Tx) error { return change(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) link() {
	w.t.Helper()
	if err := w.keeper.Link(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.db.ExecContext(w.t.Context(), query, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) verify(anchors ...trail.Anchor) trail.Report {
	w.t.Helper()
	r, err := trail.Verify(w.t.Context(), w.store, w.keeper.Seal, w.now, anchors)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// whole fails unless the trail is whole and has n entries.
func (w *world) whole(n uint64) trail.Report {
	w.t.Helper()
	r := w.verify()
	if len(r.Problems) > 0 || r.Entries != n {
		w.t.Fatalf("%d entries, want %d; problems %q", r.Entries, n, r.Problems)
	}
	return r
}

func each(t *testing.T, run func(w *world)) {
	t.Helper()
	testenv.EachDatabase(t, func(t *testing.T, url string) { run(newWorld(t, url)) })
}

func TestTrail_S_A1_what_is_altered_removed_or_put_in_is_found_and_named(t *testing.T) {

	for _, c := range []struct {
		name, tamper, want string
	}{
		{"an altered outcome", `UPDATE audit SET outcome = 'failure' WHERE number = 700`, "entry 700 "},
		{"an altered time", `UPDATE audit SET at = at - 1 WHERE number = 700`, "entry 700 "},
		{"another actor", `UPDATE audit SET actor_id = 'bob' WHERE number = 700`, "entry 700 "},
		{"another address", `UPDATE audit SET address = '203.0.113.9' WHERE number = 700`, "entry 700 "},
		{"another salt", `UPDATE audit SET salts = '' WHERE number = 700`, "entry 700 "},
		{"a removed entry", `DELETE FROM audit WHERE number = 700`, "entry 700 is missing"},
		{"a removed first entry", `DELETE FROM audit WHERE number = 1`, "entry 1 is missing"},
		{"a removed page", `DELETE FROM audit WHERE number > 500 AND number <= 1000`, "entry 501 is missing"},
		{"two that changed places", `UPDATE audit SET number = CASE number WHEN 700 THEN -701 ELSE -700 END WHERE number IN (700, 701);
			UPDATE audit SET number = -number WHERE number < 0`, "entry 700 "},
		{"a removed end", `DELETE FROM audit WHERE number >= 1100`, "entry 1100 is missing"},
		{"a removed end with the head set back", `DELETE FROM audit WHERE number >= 1100;
			UPDATE audit_chain SET head_number = 1099, head_hash = (SELECT hash FROM audit WHERE number = 1099)`, "not with our seal"},
		{"everything before removed", `UPDATE audit_chain SET start_number = 700, start_hash = (SELECT hash FROM audit WHERE number = 700);
			DELETE FROM audit WHERE number <= 700`, "begins after 700, but not with our seal"},
		{"an entry put in behind", `INSERT INTO audit SELECT 'x', at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent,
			request_id, 1201, salts, erased, hash FROM audit WHERE number = 700`, "entry 1201 is behind the head"},
		{"a name wiped without the pseudonym of a deletion", `UPDATE audit SET actor_id = '', target_id = '', erased =
			'0000000000000000000000000000000000000000000000000000000000000000,,' WHERE number = 700`, "entry 700 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(w *world) {
				w.add(1, "ada")
				w.exec(`INSERT INTO audit (id, at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id)
					WITH RECURSIVE n (k) AS (SELECT 2 UNION ALL SELECT k + 1 FROM n WHERE k < 1200)
					SELECT 'e' || CAST(10000 + k AS TEXT), at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id FROM audit, n`)
				w.link()
				w.whole(1200)
				for statement := range strings.SplitSeq(c.tamper, ";") {
					w.exec(statement)
				}
				r := w.verify()
				if len(r.Problems) != 1 || !strings.Contains(r.Problems[0], c.want) {
					t.Errorf("problems %q, want one with %q", r.Problems, c.want)
				}
			})
		})
	}
}

func TestTrail_an_end_that_was_put_back_with_its_seal_is_found_by_what_was_told(t *testing.T) {
	each(t, func(w *world) {
		w.add(5, "ada")
		w.link()
		early := w.whole(5)
		w.add(5, "ada")
		w.link()
		late := w.whole(10)
		told := []trail.Anchor{{Number: 5, Hash: early.Head.Hash}, {Number: 10, Hash: late.Head.Hash}}
		if r := w.verify(told...); len(r.Problems) > 0 || r.Anchors != 2 {
			t.Errorf("%d anchors found, problems %q", r.Anchors, r.Problems)
		}
		if r := w.verify(trail.Anchor{Number: 4, Hash: late.Head.Hash}); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "written anew") {
			t.Errorf("another hash: problems %q", r.Problems)
		}
		w.exec(`DELETE FROM audit WHERE number > 5`)
		w.exec(`UPDATE audit_chain SET head_number = 5, head_hash = $1, head_seal = $2`, fmt.Sprintf("%x", early.Head.Hash), fmt.Sprintf("%x", early.Head.Seal))
		w.whole(5) // by itself it is a trail that was true once
		if r := w.verify(told...); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "entry 10 was told of") {
			t.Errorf("problems %q", r.Problems)
		}
	})
}

func TestTrail_several_keepers_and_writers_make_one_chain(t *testing.T) {
	each(t, func(w *world) {
		const writers, each = 4, 40
		var running sync.WaitGroup
		keepers := []*trail.Keeper{w.keeper, w.another(key(1)), w.another(key(1))}
		for i := range writers {
			running.Go(func() {
				for range each {
					e, _ := w.SystemEvent(auth.AuditEvent{Event: "login", ActorID: fmt.Sprint(i)})
					if err := w.store.InTx(t.Context(), func(tx auth.Tx) error { return tx.AddAudit(t.Context(), e) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, k := range keepers {
			running.Go(func() {
				for range 10 {
					if err := k.Link(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		running.Wait()
		w.link()
		w.whole(writers * each)
	})
}

func TestTrail_forgets_the_oldest_and_stays_verifiable(t *testing.T) {
	each(t, func(w *world) {
		w.keeper.Retention = 24 * time.Hour
		w.add(3, "ada")
		w.link()
		w.now = w.now.Add(25 * time.Hour)
		w.add(2, "ada")
		w.link()
		if err := w.keeper.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		// With the word that nobody kept the trail for a day.
		if r := w.whole(3); r.Start.Number != 3 || r.Head.Number != 6 {
			t.Errorf("from %d to %d", r.Start.Number, r.Head.Number)
		}
		w.now = w.now.Add(25 * time.Hour)
		if err := w.keeper.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.whole(0)
		w.add(1, "ada")
		w.link()
		if r := w.whole(2); r.Head.Number != 8 {
			t.Errorf("the head is %d, want 8", r.Head.Number)
		}
	})
}

func TestTrail_S_A1_retention_deletes_nothing_on_the_word_of_an_altered_row(t *testing.T) {
	for _, c := range []struct {
		name, tamper, told, verified string
	}{
		{"every time", `UPDATE audit SET at = 0`, "entry 1 ", "entry 1 "},
		{"a time after entries that are old", `UPDATE audit SET at = 0 WHERE number = 4`, "entry 4 ", "entry 4 "},
		{"an old entry made young", `UPDATE audit SET at = at + 864000000000 WHERE number = 2`, "entry 2 ", "entry 2 "},
		{"a time and its hash", `UPDATE audit SET at = 0, hash = (SELECT hash FROM audit AS x WHERE x.number = 5) WHERE number = 1`, "entry 1 ", "entry 1 "},
		{"an old entry removed", `DELETE FROM audit WHERE number = 2`, "entry 3 ", "entry 2 is missing"},
		{"the start moved", `UPDATE audit_chain SET start_number = 1, start_hash = (SELECT hash FROM audit WHERE number = 1)`, "start of the audit trail at 1 ", "begins after 1, but not with our seal"},
		{"the head moved", `UPDATE audit_chain SET head_number = 6`, "audit trail at 6 ", "ends at 6, but not with our seal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(w *world) {
				w.keeper.Retention = 24 * time.Hour
				w.add(3, "ada")
				w.now = w.now.Add(25 * time.Hour)
				w.add(2, "ada")
				w.link()
				w.exec(c.tamper)
				before := w.rows()
				err := w.keeper.Tidy(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.told) || !strings.Contains(err.Error(), "auth-service audit verify") {
					t.Errorf("told %v, want %q and what to run", err, c.told)
				}
				if after := w.rows(); after != before {
					t.Errorf("trail was %q, is %q", before, after)
				}
				if r := w.verify(); !strings.Contains(strings.Join(r.Problems, "; "), c.verified) {
					t.Errorf("problems %q, want %q", r.Problems, c.verified)
				}
			})
		})
	}
}

// rows tells how many entries there are, and where the trail starts.
func (w *world) rows() string {
	w.t.Helper()
	var out struct {
		Entries int    `db:"entries"`
		Number  int64  `db:"start_number"`
		Hash    string `db:"start_hash"`
		Seal    string `db:"start_seal"`
	}
	if err := w.db.GetContext(w.t.Context(), &out, `SELECT (SELECT COUNT(*) FROM audit) AS entries,
		start_number, start_hash, start_seal FROM audit_chain`); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(out)
}

func TestTrail_an_erased_account_leaves_nothing_of_itself_and_the_chain_as_it_was(t *testing.T) {
	each(t, func(w *world) {
		const pseudonym = auth.PseudonymPrefix + "abc"
		w.add(2, "ada")
		e, _ := w.SystemEvent(auth.AuditEvent{Event: "locked", ActorID: "root", TargetID: "ada", SessionID: "of root", Address: "192.0.2.9", RequestID: "q"})
		stranger, _ := w.SystemEvent(auth.AuditEvent{Event: "login", Outcome: "failure", TargetID: "ada", Address: "192.0.2.8"})
		said, _ := w.SystemEvent(auth.AuditEvent{Event: auth.EventPseudonymised, ActorID: "ada", TargetID: pseudonym})
		w.commit(func(ctx context.Context, tx auth.Tx) error {
			for _, e := range []auth.AuditEvent{e, stranger, said} {
				if err := tx.AddAudit(ctx, e); err != nil {
					return err
				}
			}
			return tx.AddErasure(ctx, w.order("ada", pseudonym))
		})
		for range 2 { // again, as after a crash
			if err := w.keeper.Erase(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r := w.whole(5); r.Erased != 5 {
				t.Errorf("%d entries are erased, want 5", r.Erased)
			}
		}
		w.add(1, "ada") // a late event: a token of the account is still presented
		w.link()
		w.now = w.now.Add(25 * time.Hour)
		if err := w.keeper.Erase(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.link()
		w.whole(8) // with the words that nobody kept the trail for a day, and that it is done
		var left int
		if err := w.db.GetContext(t.Context(), &left, `SELECT (SELECT COUNT(*) FROM audit WHERE actor_id = 'ada' OR target_id = 'ada'
			OR address IN ('192.0.2.1', '192.0.2.8') OR session_id = 's') + (SELECT COUNT(*) FROM audit_erasures)`); err != nil || left != 0 {
			t.Errorf("%d rows still tell of the account (%v)", left, err)
		}
		found, err := w.store.Audit(t.Context(), auth.AuditFilter{UserID: pseudonym, Event: "locked", Limit: 9})
		if err != nil || len(found) != 1 || found[0].ActorID != "root" || found[0].Address != "192.0.2.9" {
			t.Errorf("what an administrator did stays: %+v, %v", found, err)
		}
		w.exec(`UPDATE audit SET actor_id = 'erased-other' WHERE number = 1`)
		if r := w.verify(); len(r.Problems) != 1 {
			t.Errorf("another pseudonym: problems %q", r.Problems)
		}
	})
}

func TestTrail_another_key_seals_anew_and_an_unknown_one_nothing(t *testing.T) {
	each(t, func(w *world) {
		w.add(2, "ada")
		w.link()
		stranger := w.another(key(9))
		if err := stranger.Link(t.Context()); err == nil {
			t.Error("a keeper with another key goes on")
		}
		w.keeper = w.another(key(2), key(1))
		w.link()
		w.keeper = w.another(key(2)) // the old key is gone
		w.whole(2)
	})
}

// lockedLog may be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTrail_Run_tells_the_head_and_stops(t *testing.T) {
	w := newWorld(t, testenv.SQLite(t))
	w.add(3, "ada")
	w.keeper.Look = time.Millisecond
	var log lockedLog
	w.keeper.Log = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.keeper.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), trail.AnchorMessage); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the head is not told")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "number=3") {
		t.Errorf("the log:\n%s", text)
	}
	w.whole(3)
}

func TestTrail_events_that_wait_too_long_are_a_problem(t *testing.T) {
	w := newWorld(t, testenv.SQLite(t))
	w.add(1, "ada")
	w.now = w.now.Add(6 * time.Minute)
	if r := w.verify(); len(r.Problems) != 1 || r.Waiting != 1 {
		t.Errorf("problems %q", r.Problems)
	}
}
