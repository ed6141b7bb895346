package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// admin reads a page of the administrators' list.
func (f *fixture) admin(path string) answer {
	f.t.Helper()
	return f.do(call{method: "GET", path: path, token: f.token(99, "admin")})
}

// listed returns the last digits of the ids in a list.
func listed(a answer) string {
	var all []string
	items, _ := a.json["items"].([]any)
	for _, item := range items {
		id := item.(map[string]any)["id"].(string)
		all = append(all, id[len(id)-1:])
	}
	return strings.Join(all, "")
}

func TestAPI_showAccount(t *testing.T) {
	f := newFixture(t)
	login := usertest.At.Add(time.Hour)
	f.register(1, func(a *contract.Account) { a.LastLoginAt = &login; a.Roles = []string{"user", "admin"} })
	f.register(2, func(a *contract.Account) { a.Roles = nil; a.FirstName = "" })
	created := usertest.At.Add(time.Second).Format(time.RFC3339Nano)
	want := map[string]any{
		"id": usertest.ID(1), "email": "ada@example.com", "email_verified": true, "first_name": "Ada", "last_name": "Lovelace", "display_name": nil,
		"roles": []any{"user", "admin"}, "status": "active", "created_at": created, "updated_at": created, "last_login_at": login.Format(time.RFC3339Nano),
	}
	a := f.admin("/admin/users/" + usertest.ID(1))
	if diff := cmp.Diff(a.json, want); a.status != http.StatusOK || diff != "" {
		t.Errorf("%d (-got +want):\n%s", a.status, diff)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
	a = f.admin("/admin/users/" + usertest.ID(2))
	for field, want := range map[string]any{"roles": []any{}, "last_login_at": nil, "first_name": nil} {
		if diff := cmp.Diff(a.json[field], want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", field, diff)
		}
	}
	for _, id := range []string{usertest.ID(3), "x", "%00", strings.ToUpper(usertest.ID(10)), "%2e%2e", strings.Repeat("a", 4000)} {
		f.wantProblem(f.admin("/admin/users/"+id), http.StatusNotFound, "not_found")
	}
}

func TestAPI_listAccounts(t *testing.T) {
	f := newFixture(t)
	for n := 1; n <= 5; n++ {
		f.register(n, func(a *contract.Account) {
			a.Email = []string{"", "ada@example.com", "Bob@Example.com", "per_cent@example.com", "100%@example.com", "eve@example.com"}[n]
			if n == 2 {
				a.Roles = []string{"user", "admin"}
			}
			if n == 5 {
				a.Status = contract.StatusLocked
			}
		})
	}
	for query, want := range map[string]string{
		"": "12345", "?query=": "12345", "?query=BOB": "2", "?query=lovelace": "12345", "?query=%25": "4", "?query=_": "3", "?query=nobody": "",
		"?role=admin": "2", "?role=user": "12345", "?role=none": "", "?status=locked": "5", "?status=active": "1234",
		"?query=example&role=admin&status=active": "2", "?unknown=1": "12345", "?limit=200": "12345",
		"?query=" + usertest.ID(3): "3",
	} {
		a := f.admin("/admin/users" + query)
		if got := listed(a); a.status != http.StatusOK || got != want || a.json["next_cursor"] != nil {
			t.Errorf("%s: %d, %s, want %s; next %v", query, a.status, got, want, a.json["next_cursor"])
		}
	}
	t.Run("an empty list is a list", func(t *testing.T) {
		if a := f.admin("/admin/users?query=nobody"); !strings.Contains(a.body, `"items":[],"next_cursor":null`) {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("pages follow one another", func(t *testing.T) {
		path := "/admin/users?limit=2"
		var pages []string
		for range 3 {
			a := f.admin(path)
			pages = append(pages, listed(a))
			next, _ := a.json["next_cursor"].(string)
			path = "/admin/users?limit=2&cursor=" + url.QueryEscape(next)
		}
		if got := strings.Join(pages, " "); got != "12 34 5" {
			t.Errorf("%s", got)
		}
	})
}

func TestAPI_listAccounts_refuses(t *testing.T) {
	f := newFixture(t)
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=-1": "limit", "limit=x": "limit", "limit=": "limit", "limit=1e2": "limit",
		"limit=99999999999999999999": "limit", "limit=1&limit=2": "limit", "status=deleted": "status", "status=Active": "status",
		"cursor=x": "cursor", "cursor=!!": "cursor", "cursor=MSB4": "cursor", "query=%00": "query", "query=%ff": "query",
		"query=" + strings.Repeat("a", 201): "query", "role=%0a": "role", "role=a&role=b": "role",
	} {
		t.Run(query, func(t *testing.T) {
			f.in(t).wantProblem(f.admin("/admin/users?"+query), http.StatusUnprocessableEntity, "validation_failed", field)
		})
	}
	f.wantProblem(f.admin("/admin/users?query=%zz"), http.StatusBadRequest, "malformed_request")
	f.wantProblem(f.admin("/admin/users?a;b"), http.StatusBadRequest, "malformed_request")
}
