package usertest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/user-service/internal/user"
)

// list returns the ids that the filter lets through, at most 100 of them
// unless the filter has a limit.
func list(t *testing.T, s user.Store, f user.Filter) []string {
	t.Helper()
	if f.Limit == 0 {
		f.Limit = 100
	}
	records, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	ids := []string{}
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

// ids returns the ids of the numbered samples.
func ids(numbers ...int) []string {
	all := []string{}
	for _, n := range numbers {
		all = append(all, ID(n))
	}
	return all
}

// walk reads the list page by page. Between is called after each page.
func walk(t *testing.T, s user.Store, limit int, between func()) []string {
	t.Helper()
	var all []string
	after := user.Cursor{}
	for {
		page := list(t, s, user.Filter{Limit: limit, After: after})
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		last := find(t, s, page[len(page)-1])
		after = user.Cursor{CreatedAt: last.CreatedAt, ID: last.ID}
		between()
	}
}

func pages(t *testing.T, s user.Store) {
	for _, n := range []int{5, 3, 1, 4, 2} {
		put(t, s, Sample(n))
	}
	twin := Sample(6) // created together with 3: the id decides
	twin.CreatedAt = Sample(3).CreatedAt
	put(t, s, twin)
	want := ids(1, 2, 3, 6, 4, 5)
	for limit := 1; limit <= 7; limit++ {
		if diff := cmp.Diff(walk(t, s, limit, func() {}), want); diff != "" {
			t.Errorf("by %d (-got +want):\n%s", limit, diff)
		}
	}
}

func stablePages(t *testing.T, s user.Store) {
	for n := 10; n < 20; n++ {
		put(t, s, Sample(n))
	}
	next := 0
	got := walk(t, s, 2, func() { // before and behind the page that was read
		if next++; next > 3 {
			return
		}
		put(t, s, Sample(next))
		put(t, s, Sample(20+next))
	})
	want := ids(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

func queries(t *testing.T, s user.Store) {
	r := Sample(1)
	first, last := "Émile", "Straße"
	r.Email, r.FirstName, r.LastName, r.DisplayName = "Emile@Example.com", &first, &last, "Der Große"
	put(t, s, r)
	put(t, s, Sample(2))
	for query, want := range map[string][]string{
		"":                 ids(1, 2),
		"EXAMPLE.COM":      ids(1, 2),
		"emile@":           ids(1),
		"éMILE":            ids(1),
		"E\u0301mile":      ids(1), // decomposed
		"strasse":          ids(1),
		"émile str":        ids(1),
		"straße, é":        ids(1),
		"GROSSE":           ids(1),
		"ada":              ids(2),
		ID(2)[20:]:         ids(2),
		"nobody":           ids(),
		"example.com emil": ids(), // no query spans two texts
	} {
		if diff := cmp.Diff(list(t, s, user.Filter{Query: query}), want); diff != "" {
			t.Errorf("%q (-got +want):\n%s", query, diff)
		}
	}
}

func wildcards(t *testing.T, s user.Store) {
	for n, name := range []string{"100%", "a_b", `back\slash`, "axb", "'; DROP TABLE users; --"} {
		r := Sample(n)
		r.DisplayName = name
		put(t, s, r)
	}
	for query, want := range map[string][]string{
		"%": ids(0), "0%": ids(0), "_": ids(1), "a_b": ids(1), `\`: ids(2), `k\s`: ids(2), `\\`: ids(), "%%": ids(),
		"a%b": ids(), "'": ids(4), "drop table": ids(4),
	} {
		if diff := cmp.Diff(list(t, s, user.Filter{Query: query}), want); diff != "" {
			t.Errorf("%q (-got +want):\n%s", query, diff)
		}
	}
}

func filters(t *testing.T, s user.Store) {
	for n, roles := range [][]string{{"user"}, {"user", "admin"}, {"administrator"}, {"a%b", `q"x`}, nil} {
		r := Sample(n)
		r.Roles = roles
		if n%2 == 1 {
			r.Status = contract.StatusLocked
		}
		put(t, s, r)
	}
	for _, c := range []struct {
		filter user.Filter
		want   []string
	}{
		{user.Filter{Role: "user"}, ids(0, 1)},
		{user.Filter{Role: "admin"}, ids(1)},
		{user.Filter{Role: "Admin"}, ids()},
		{user.Filter{Role: "a%b"}, ids(3)},
		{user.Filter{Role: "a_b"}, ids()},
		{user.Filter{Role: `q"x`}, ids(3)},
		{user.Filter{Role: `user","admin`}, ids()},
		{user.Filter{Status: contract.StatusLocked}, ids(1, 3)},
		{user.Filter{Status: contract.StatusActive}, ids(0, 2, 4)},
		{user.Filter{Status: contract.StatusActive, Role: "user", Query: "ada"}, ids(0)},
		{user.Filter{Status: contract.StatusActive, Role: "admin"}, ids()},
		{user.Filter{Status: contract.StatusActive, After: user.Cursor{CreatedAt: Sample(0).CreatedAt, ID: ID(0)}}, ids(2, 4)},
	} {
		if got := list(t, s, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
		}
	}
}
