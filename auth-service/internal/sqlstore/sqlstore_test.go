package sqlstore_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/keys/keystest"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/sqldb"
)

// open returns an empty store on the kind of database that url names.
func open(t *testing.T, url string) (*sqlstore.Store, *sqldb.DB) {
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
	s, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

// eachKind runs a test with a source of fresh databases of each kind.
func eachKind(t *testing.T, run func(t *testing.T, fresh func(t *testing.T) (*sqlstore.Store, *sqldb.DB))) {
	t.Run("sqlite", func(t *testing.T) {
		run(t, func(t *testing.T) (*sqlstore.Store, *sqldb.DB) { return open(t, testenv.SQLite(t)) })
	})
	t.Run("postgres", func(t *testing.T) {
		run(t, func(t *testing.T) (*sqlstore.Store, *sqldb.DB) { return open(t, testenv.Postgres(t)) })
	})
}

func TestStore_keepsTheContractOfAuth(t *testing.T) {
	eachKind(t, func(t *testing.T, fresh func(t *testing.T) (*sqlstore.Store, *sqldb.DB)) {
		authtest.TestStore(t, func(t *testing.T) auth.Store { s, _ := fresh(t); return s })
	})
}

// keyStore joins the store to package keys, as authapp does.
type keyStore struct{ *sqlstore.Store }

func (s keyStore) Keys(ctx context.Context) ([]keys.Record, error) {
	found, err := s.Store.Keys(ctx)
	return convert[keys.Record](found), err
}

func (s keyStore) SaveKeys(ctx context.Context, decide func([]keys.Record) ([]keys.Record, error)) error {
	return s.Store.SaveKeys(ctx, func(existing []sqlstore.Key) ([]sqlstore.Key, error) {
		changed, err := decide(convert[keys.Record](existing))
		return convert[sqlstore.Key](changed), err
	})
}

func convert[To, From keys.Record | sqlstore.Key](from []From) []To {
	to := make([]To, 0, len(from))
	for _, f := range from {
		to = append(to, To(f))
	}
	return to
}

func TestStore_keepsTheContractOfKeys(t *testing.T) {
	eachKind(t, func(t *testing.T, fresh func(t *testing.T) (*sqlstore.Store, *sqldb.DB)) {
		keystest.TestStore(t, func(t *testing.T) keys.Store { s, _ := fresh(t); return keyStore{s} })
	})
}

func TestStore_queuedMessagesReachTheOutbox(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, db := open(t, url)
		err := s.InTx(t.Context(), func(tx auth.Tx) error {
			return tx.Enqueue(t.Context(), auth.OutboxMessage{ID: authtest.ID(1), Topic: auth.TopicMail}, authtest.Start())
		})
		counts, countErr := outbox.Count(t.Context(), db)
		if err != nil || countErr != nil || counts.Waiting != 1 || !counts.Oldest.Equal(authtest.Start()) {
			t.Errorf("outbox holds %+v (%v, %v), want one message", counts, err, countErr)
		}
	})
}

func TestStore_aSecondStartFindsEverything(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		first, _ := open(t, url)
		want := auth.User{ID: authtest.ID(1), Email: "ada@example.com"}
		if err := first.InTx(t.Context(), func(tx auth.Tx) error { return tx.AddUser(t.Context(), want) }); err != nil {
			t.Fatal(err)
		}
		second, _ := open(t, url)
		if _, err := second.User(t.Context(), want.ID); err != nil {
			t.Errorf("User after a second start: %v", err)
		}
	})
}

func TestStore_aClosedDatabaseIsUnavailableAndNoAnswer(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, db := open(t, url)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := s.User(t.Context(), authtest.ID(1))
		if err == nil || fault.Is(err, fault.NotFound) {
			t.Errorf("User: %v, want a failure that is not about the user", err)
		}
		if err := s.InTx(t.Context(), func(auth.Tx) error { return nil }); err == nil {
			t.Error("InTx succeeded without a database")
		}
	})
}

func TestMigrations_holdTheOutboxAsItsOwnerWantsIt(t *testing.T) {
	text, err := fs.ReadFile(os.DirFS("migrations"), "0003_outbox.sql")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), strings.TrimSpace(outbox.Schema)) {
		t.Error("migrations/0003_outbox.sql does not hold outbox.Schema")
	}
}
