package usertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
)

// TestStore holds any user.Store to its contract. Open returns an empty store.
func TestStore(t *testing.T, open func(t *testing.T) user.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s user.Store)
	}{
		{"what is written comes back", roundTrip},
		{"times come back in UTC and to the microsecond", timesInUTC},
		{"an unknown account is not found, and empty when changed", unknownAccount},
		{"a change that fails, or changes nothing, writes nothing", noWrite},
		{"a deleted account leaves the list and can be found", deleted},
		{"of many concurrent changes none is lost", concurrentChanges},
		{"of many concurrent first changes none is lost", concurrentFirst},
		{"the list is ordered by creation and id, and paged", pages},
		{"a page goes on where the last one ended, whatever came between", stablePages},
		{"a query finds parts of email, names and id in any case", queries},
		{"a query's wildcards are ordinary characters", wildcards},
		{"role and status filter exactly", filters},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// At is the time at which the accounts of these tests were created.
var At = time.Date(2026, 11, 21, 10, 20, 30, 123456000, time.UTC)

// ID returns the nth account id of a test.
func ID(n int) string { return fmt.Sprintf("0190a000-0000-7000-8000-%012x", n) }

// Sample returns a record with every field set.
func Sample(n int) user.Record {
	first, last := "Ada", "Lovelace"
	return user.Record{
		ID: ID(n), Email: fmt.Sprintf("ada%d@example.com", n), EmailVerified: true,
		Roles: []string{contract.RoleUser}, Status: contract.StatusActive,
		CreatedAt: At.Add(time.Duration(n) * time.Second), ChangedAt: At.Add(time.Hour), LastLoginAt: At.Add(2 * time.Hour),
		Version: int64(n) + 7, EventID: ID(1000 + n), FirstName: &first, LastName: &last, DisplayName: "Countess",
		Locale: "en-GB", TimeZone: "Europe/London", AvatarURL: "https://example.com/a.png", UpdatedAt: At.Add(3 * time.Hour),
	}
}

// put writes a record as it is.
func put(t *testing.T, s user.Store, r user.Record) {
	t.Helper()
	if _, err := s.Change(t.Context(), r.ID, func(user.Record) (user.Record, error) { return r, nil }); err != nil {
		t.Fatalf("Change: %v", err)
	}
}

// find returns the record of an account that must be there.
func find(t *testing.T, s user.Store, id string) user.Record {
	t.Helper()
	r, err := s.Find(t.Context(), id)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	return r
}

func roundTrip(t *testing.T, s user.Store) {
	empty := ""
	for name, want := range map[string]user.Record{
		"every field":    Sample(1),
		"no more needed": {ID: ID(2), Email: "b@example.com", Roles: []string{}, Status: contract.StatusLocked, CreatedAt: At, UpdatedAt: At},
		"removed names":  {ID: ID(3), Email: "c@example.com", Roles: []string{`a"b\`, "ü,%_"}, Status: "new", CreatedAt: At, FirstName: &empty, LastName: &empty},
		"a tombstone":    {ID: ID(4), Status: contract.StatusDeleted},
	} {
		put(t, s, Sample(1)) // what was there before must not shine through
		put(t, s, want)
		if diff := cmp.Diff(find(t, s, want.ID), want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
}

func timesInUTC(t *testing.T, s user.Store) {
	put(t, s, Sample(1))
	r := find(t, s, ID(1))
	for name, got := range map[string]time.Time{
		"created": r.CreatedAt, "changed": r.ChangedAt, "last login": r.LastLoginAt, "updated": r.UpdatedAt,
	} {
		if got.Location() != time.UTC || got.Nanosecond() != At.Nanosecond() {
			t.Errorf("%s is %v", name, got)
		}
	}
}

func unknownAccount(t *testing.T, s user.Store) {
	if _, err := s.Find(t.Context(), ID(9)); !fault.Is(err, fault.NotFound) {
		t.Errorf("Find: %v", err)
	}
	got, err := s.Change(t.Context(), ID(9), func(r user.Record) (user.Record, error) {
		if diff := cmp.Diff(r, user.Record{}); diff != "" {
			t.Errorf("fn got a record (-got +want):\n%s", diff)
		}
		return Sample(9), nil
	})
	if diff := cmp.Diff(got, Sample(9)); err != nil || diff != "" {
		t.Errorf("Change: %v (-got +want):\n%s", err, diff)
	}
}

func noWrite(t *testing.T, s user.Store) {
	put(t, s, Sample(1))
	wrong := fault.New(fault.PreconditionFailed, "no")
	if _, err := s.Change(t.Context(), ID(1), func(r user.Record) (user.Record, error) {
		r.Email = "other@example.com"
		return r, wrong
	}); !errors.Is(err, wrong) {
		t.Errorf("Change: %v", err)
	}
	got, err := s.Change(t.Context(), ID(1), func(r user.Record) (user.Record, error) { return r, nil })
	if err != nil {
		t.Errorf("Change to the same: %v", err)
	}
	if diff := cmp.Diff(got, Sample(1)); diff != "" {
		t.Errorf("returned (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(find(t, s, ID(1)), Sample(1)); diff != "" {
		t.Errorf("kept (-got +want):\n%s", diff)
	}
	if _, err := s.Change(t.Context(), ID(2), func(r user.Record) (user.Record, error) { return r, nil }); err != nil {
		t.Errorf("Change nothing to nothing: %v", err)
	}
	if _, err := s.Find(t.Context(), ID(2)); !fault.Is(err, fault.NotFound) {
		t.Errorf("Find after nothing was written: %v", err)
	}
}

func deleted(t *testing.T, s user.Store) {
	put(t, s, Sample(1))
	put(t, s, user.Record{ID: ID(1), Status: contract.StatusDeleted})
	if r := find(t, s, ID(1)); !r.Deleted() {
		t.Errorf("found %+v", r)
	}
	if got := list(t, s, user.Filter{}); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
}

// raise makes many concurrent changes that each add one to the version.
func raise(t *testing.T, s user.Store, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			_, err := s.Change(t.Context(), ID(1), func(r user.Record) (user.Record, error) {
				version := r.Version
				r = Sample(1)
				r.Version = version + 1
				return r, nil
			})
			if err != nil {
				t.Errorf("Change: %v", err)
			}
		})
	}
	all.Wait()
}

func concurrentChanges(t *testing.T, s user.Store) {
	put(t, s, Sample(1))
	raise(t, s, 20)
	if got, want := find(t, s, ID(1)).Version, Sample(1).Version+20; got != want {
		t.Errorf("version %d, want %d", got, want)
	}
}

func concurrentFirst(t *testing.T, s user.Store) {
	raise(t, s, 20)
	if got := find(t, s, ID(1)).Version; got != 20 {
		t.Errorf("version %d, want 20", got)
	}
}
