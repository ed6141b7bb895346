package user_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

func TestService_Accounts(t *testing.T) {
	s, store := newService()
	for n := 1; n <= 5; n++ {
		e := event(1, contract.AccountRegistered)
		e.Data.ID = usertest.ID(n)
		e.Data.CreatedAt = usertest.At.Add(time.Duration(n) * time.Second)
		observe(t, s, e)
	}
	t.Run("pages follow one another to the end", func(t *testing.T) {
		var got []string
		f := user.Filter{Limit: 2}
		for pages := 1; ; pages++ {
			page, err := s.Accounts(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.Items {
				got = append(got, a.ID)
			}
			if page.Next == nil {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			f.After = *page.Next
		}
		want := []string{usertest.ID(1), usertest.ID(2), usertest.ID(3), usertest.ID(4), usertest.ID(5)}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
	t.Run("a page that holds exactly the rest is the last", func(t *testing.T) {
		if page, err := s.Accounts(t.Context(), user.Filter{Limit: 5}); err != nil || page.Next != nil || len(page.Items) != 5 {
			t.Errorf("%+v, %v", page, err)
		}
	})
	t.Run("nothing found is an empty list", func(t *testing.T) {
		if page, err := s.Accounts(t.Context(), user.Filter{Limit: 5, Query: "nobody"}); err != nil || page.Items == nil || len(page.Items) != 0 {
			t.Errorf("%+v, %v", page, err)
		}
	})
	for _, c := range []struct {
		name   string
		filter user.Filter
		fields []string
	}{
		{"no limit", user.Filter{}, []string{"limit"}},
		{"a limit below 1", user.Filter{Limit: -1}, []string{"limit"}},
		{"a limit above 200", user.Filter{Limit: 201}, []string{"limit"}},
		{"a query without end", user.Filter{Limit: 1, Query: strings.Repeat("é", 201)}, []string{"query"}},
		{"a query with a NUL", user.Filter{Limit: 1, Query: "\x00"}, []string{"query"}},
		{"a query that is not UTF-8", user.Filter{Limit: 1, Query: "\xff"}, []string{"query"}},
		{"a role with a NUL", user.Filter{Limit: 1, Role: "\x00"}, []string{"role"}},
		{"a role without end", user.Filter{Limit: 1, Role: strings.Repeat("a", 65)}, []string{"role"}},
		{"a state that is none", user.Filter{Limit: 1, Status: "sleeping"}, []string{"status"}},
		{"the deleted ones", user.Filter{Limit: 1, Status: contract.StatusDeleted}, []string{"status"}},
		{"a cursor of another list", user.Filter{Limit: 1, After: user.Cursor{ID: "x"}}, []string{"cursor"}},
		{"all at once", user.Filter{Query: "\n", Role: "\n", Status: "x"}, []string{"limit", "query", "role", "status"}},
	} {
		t.Run(c.name+" is refused", func(t *testing.T) {
			_, err := s.Accounts(t.Context(), c.filter)
			if diff := cmp.Diff(fields(err), c.fields); diff != "" {
				t.Errorf("%v (-got +want):\n%s", err, diff)
			}
		})
	}
	t.Run("an unknown account is not found", func(t *testing.T) {
		for _, id := range []string{usertest.ID(77), "", "x", strings.Repeat("a", 9999), "\x00"} {
			if _, err := s.Account(t.Context(), id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%.20q: %v", id, err)
			}
		}
	})
	t.Run("an outage of the store is told", func(t *testing.T) {
		store.SetDown(fault.New(fault.Unavailable, "away"))
		defer store.SetDown(nil)
		if _, err := s.Accounts(t.Context(), user.Filter{Limit: 1}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Accounts: %v", err)
		}
		if _, err := s.Account(t.Context(), usertest.ID(1)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Account: %v", err)
		}
		if _, err := s.Profile(t.Context(), usertest.ID(1)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Profile: %v", err)
		}
	})
}
