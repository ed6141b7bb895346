package sequencer

import (
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// storedUser is a user in the real tables, as the rules read it.
type storedUser struct {
	t     *testing.T
	store *sqlstore.Store
	log   sqlLog
	id    string
}

func newStoredUser(t *testing.T, url string) storedUser {
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
	return storedUser{t, store, newSQLLog(db), authtest.ID(1)}
}

func (u storedUser) add() {
	u.t.Helper()
	err := u.store.InTx(u.t.Context(), func(tx auth.Tx) error {
		return tx.AddUser(u.t.Context(), auth.User{ID: u.id, Email: "ada@example.com", Version: 1})
	})
	if err != nil {
		u.t.Fatal(err)
	}
}

// least is the least version of the user's new tokens.
func (u storedUser) least() uint64 {
	u.t.Helper()
	var got auth.User
	err := u.store.InTx(u.t.Context(), func(tx auth.Tx) (err error) {
		got, err = tx.LockUser(u.t.Context(), u.id)
		return err
	})
	if err != nil || got.Version != 1 {
		u.t.Fatalf("version %d (%v), want 1", got.Version, err)
	}
	return got.LeastVersion
}

func (u storedUser) must(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

// span is how many versions a user may go through in an epoch.
const span = contract.EpochSpan / contract.EpochsPerVersion

func TestVersions_F24_I1_a_database_that_may_have_lost_history_gives_out_none_again(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		u := newStoredUser(t, url)
		u.add()
		number := func() {
			t.Helper()
			_, _, err := u.log.number(t.Context())
			u.must(err)
		}
		last := uint64(0)
		for _, step := range []struct {
			name    string
			do      func()
			atLeast uint64 // more than before
		}{
			{"a new database", func() {}, span / 2},
			{"its first epoch", number, span / 2},
			{"another incarnation, before anybody has numbered", func() {
				u.must(u.log.write(t.Context(), "replace", `UPDATE revocation_state SET incarnation = 'another'`))
			}, span / 2},
			{"the epoch of that incarnation", number, span / 2},
			{"others that hold a later epoch", func() {
				u.must(u.log.openEpoch(t.Context(), (last+5*span)*contract.EpochsPerVersion))
			}, 6 * span},
		} {
			step.do()
			got := u.least()
			if got < last+step.atLeast {
				t.Errorf("after %s: %d, want %d more than %d", step.name, got, step.atLeast, last)
			}
			last = got
		}
		number()
		if got := u.least(); got != last {
			t.Errorf("%d without a loss, want %d to stay", got, last)
		}
	})
}

func TestVersions_F24_a_sqlite_file_that_is_opened_may_have_been_put_back(t *testing.T) {
	url := testenv.SQLite(t)
	first := newStoredUser(t, url)
	first.add()
	before, _, err := first.log.number(t.Context())
	first.must(err)
	version := first.least()
	again := newStoredUser(t, url)
	if got := again.least(); got < version+span/2 {
		t.Errorf("least version %d after the file was opened again, want %d more than %d", got, span/2, version)
	}
	for _, u := range []storedUser{again, first} { // several that have it open agree
		state, err := u.log.look(t.Context())
		if err != nil || !state.Moved || u.least() != version+span/2 {
			t.Errorf("state %+v (%v), least version %d", state, err, u.least())
		}
	}
	after, _, err := again.log.number(t.Context())
	if err != nil || !after.Moved || after.Epoch < before.Epoch+contract.EpochSpan {
		t.Errorf("state %+v (%v) after epoch %d", after, err, before.Epoch)
	}
	if state, _, err := first.log.number(t.Context()); err != nil || state.Moved || state.Epoch != after.Epoch {
		t.Errorf("state %+v (%v), want the epoch %d for whoever had the file open before", state, err, after.Epoch)
	}
}
