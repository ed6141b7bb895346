package keystest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/keys"
)

// TestStore holds any keys.Store to its contract. open returns an empty store;
// it is called once for each part of the suite.
func TestStore(t *testing.T, open func(t *testing.T) keys.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s keys.Store)
	}{
		{"a new store has no keys", newStoreIsEmpty},
		{"a record comes back whole", recordComesBack},
		{"times that have not come stay zero and others are UTC microseconds", timesKeep},
		{"a changed record replaces the one with its id", changedRecordReplaces},
		{"records come oldest first", oldestFirst},
		{"decide sees what is stored, and nothing changed is no error", decideSeesStored},
		{"an error of decide is returned and nothing is stored", errorStoresNothing},
		{"what decide was given is its own to change", decideOwnsItsInput},
		{"concurrent saves run one after another", savesAreSerialised},
		{"a context that has ended is an error", endedContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// start is a time with microseconds, as the stores keep it.
func start() time.Time { return time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC) }

func record(id string, created time.Time) keys.Record {
	return keys.Record{
		KeyID: id, Use: "sig", Algorithm: "EdDSA", State: keys.StateNext,
		Sealed: []byte{1, 0, 255, 'x'}, PublicJWK: []byte(`{"kty":"OKP"}`), CreatedAt: created,
	}
}

func save(t *testing.T, s keys.Store, records ...keys.Record) {
	t.Helper()
	err := s.SaveKeys(t.Context(), func([]keys.Record) ([]keys.Record, error) { return records, nil })
	if err != nil {
		t.Fatalf("SaveKeys: %v", err)
	}
}

func stored(t *testing.T, s keys.Store) []keys.Record {
	t.Helper()
	out, err := s.Keys(t.Context())
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	return out
}

func ids(records []keys.Record) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, r.KeyID)
	}
	return out
}

func newStoreIsEmpty(t *testing.T, s keys.Store) {
	if got := stored(t, s); len(got) != 0 {
		t.Errorf("got %d records, want none", len(got))
	}
}

func recordComesBack(t *testing.T, s keys.Store) {
	want := record("a-_0", start())
	want.State = keys.StateRetired
	want.ActivatedAt = start().Add(time.Hour)
	want.NotAfter = start().Add(2 * time.Hour)
	want.RetiredAt = start().Add(3 * time.Hour)
	save(t, s, want)
	if diff := cmp.Diff([]keys.Record{want}, stored(t, s)); diff != "" {
		t.Errorf("record differs (-want +got):\n%s", diff)
	}
}

func timesKeep(t *testing.T, s keys.Store) {
	r := record("a", start().In(time.FixedZone("", 19800)))
	save(t, s, r)
	got := stored(t, s)[0]
	if !got.ActivatedAt.IsZero() || !got.RetiredAt.IsZero() || !got.NotAfter.IsZero() {
		t.Errorf("times that have not come are %v, %v, %v, want zero", got.ActivatedAt, got.RetiredAt, got.NotAfter)
	}
	if !got.CreatedAt.Equal(start()) || got.CreatedAt.Location() != time.UTC {
		t.Errorf("created at %v, want %v in UTC", got.CreatedAt, start())
	}
}

func changedRecordReplaces(t *testing.T, s keys.Store) {
	a, b := record("a", start()), record("b", start())
	save(t, s, a, b)
	a.State, a.Sealed, a.RetiredAt = keys.StateRevoked, nil, start().Add(time.Minute)
	save(t, s, a)
	got := stored(t, s)
	if len(got) != 2 || len(got[0].Sealed) != 0 {
		t.Fatalf("got %d records, the first with %d sealed bytes, want 2 and none", len(got), len(got[0].Sealed))
	}
	got[0].Sealed = nil // no bytes and nil are one
	if diff := cmp.Diff([]keys.Record{a, b}, got); diff != "" {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
}

func oldestFirst(t *testing.T, s keys.Store) {
	save(t, s, record("c", start().Add(time.Microsecond)), record("b", start()), record("z", start().Add(-time.Hour)))
	save(t, s, record("a", start()))
	if diff := cmp.Diff([]string{"z", "a", "b", "c"}, ids(stored(t, s))); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
}

func decideSeesStored(t *testing.T, s keys.Store) {
	save(t, s, record("a", start()), record("b", start()))
	var seen []string
	err := s.SaveKeys(t.Context(), func(existing []keys.Record) ([]keys.Record, error) {
		seen = ids(existing)
		return nil, nil
	})
	if err != nil {
		t.Fatalf("SaveKeys: %v", err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, seen); diff != "" {
		t.Errorf("decide saw other records (-want +got):\n%s", diff)
	}
}

func errorStoresNothing(t *testing.T, s keys.Store) {
	refused := errors.New("refused")
	err := s.SaveKeys(t.Context(), func([]keys.Record) ([]keys.Record, error) {
		return []keys.Record{record("a", start())}, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got error %v, want that of decide", err)
	}
	if got := stored(t, s); len(got) != 0 {
		t.Errorf("got %d records, want none", len(got))
	}
}

func decideOwnsItsInput(t *testing.T, s keys.Store) {
	save(t, s, record("a", start()))
	err := s.SaveKeys(t.Context(), func(existing []keys.Record) ([]keys.Record, error) {
		existing[0].State = keys.StateRevoked
		existing[0].Sealed[0] = 9
		return nil, nil
	})
	if err != nil {
		t.Fatalf("SaveKeys: %v", err)
	}
	if diff := cmp.Diff([]keys.Record{record("a", start())}, stored(t, s)); diff != "" {
		t.Errorf("a record changed without being returned (-want +got):\n%s", diff)
	}
}

// savesAreSerialised has many callers add the key that follows the newest one.
// Two that saw the same keys would add the same id, and one would be lost.
func savesAreSerialised(t *testing.T, s keys.Store) {
	const callers, each = 8, 3
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				err := s.SaveKeys(t.Context(), func(existing []keys.Record) ([]keys.Record, error) {
					n := len(existing)
					return []keys.Record{record(fmt.Sprintf("%03d", n), start().Add(time.Duration(n)*time.Second))}, nil
				})
				if err != nil {
					t.Errorf("SaveKeys: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(stored(t, s)); got != callers*each {
		t.Errorf("got %d keys, want %d", got, callers*each)
	}
}

func endedContext(t *testing.T, s keys.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Keys(ctx); err == nil {
		t.Error("Keys has no error")
	}
	err := s.SaveKeys(ctx, func([]keys.Record) ([]keys.Record, error) {
		return []keys.Record{record("a", start())}, nil
	})
	if err == nil {
		t.Error("SaveKeys has no error")
	}
	if got := stored(t, s); len(got) != 0 {
		t.Errorf("got %d records, want none", len(got))
	}
}
