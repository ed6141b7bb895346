package auth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// rolesWhere has clerk, and boss, which inherits from chief, which inherits from
// what is given.
func rolesWhere(t *testing.T, chiefInherits ...string) func(*auth.Config) {
	t.Helper()
	name := func(text string) role.Name { return role.Name{Text: text} }
	chief := role.Definition{Name: name("chief")}
	for _, parent := range chiefInherits {
		chief.Inherits = append(chief.Inherits, name(parent))
	}
	table, err := role.Compile([]role.Definition{{Name: name("clerk")}, chief, {Name: name("boss"), Inherits: []role.Name{name("chief")}}})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *auth.Config) { c.Roles = table }
}

func TestServiceAccounts_haveNoRoleThatInheritsFromAdmin(t *testing.T) {
	h := onSQLite(t, rolesWhere(t, "clerk", "admin"))
	root := h.with(h.newAdmin("root@example.com"))
	refused := func(what string, err error, name string) {
		t.Helper()
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.ValidationFailed || len(f.Fields) != 1 || f.Fields[0].Field != "roles" || !strings.Contains(f.Fields[0].Message, name) {
			t.Errorf("%s the role %s: %v, want a field error that names it", what, name, err)
		}
	}
	for _, name := range []string{"admin", "chief", "boss"} {
		_, _, err := h.CreateServiceAccount(t.Context(), root, auth.NewServiceAccount{Name: "billing", Roles: []string{"clerk", name}})
		refused("an account with", err, name)
	}
	made, _, err := h.CreateServiceAccount(t.Context(), root, auth.NewServiceAccount{Name: "billing", Roles: []string{"clerk"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.SetServiceRoles(t.Context(), root, made.ID, []string{"boss"})
	refused("giving an account", err, "boss")
}

func TestServiceAccounts_loseARoleThatComesToInheritFromAdmin(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		before := newHarness(t, url, rolesWhere(t))
		made, secret, err := before.CreateServiceAccount(t.Context(), before.with(before.newAdmin("root@example.com")),
			auth.NewServiceAccount{Name: "billing", Roles: []string{"boss", "clerk"}})
		if err != nil {
			t.Fatal(err)
		}
		old, err := before.IssueMachineToken(t.Context(), stranger(), made.ID, secret.Text, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := before.UnsuitableAccounts(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("before the change %v are found (%v)", found, err)
		}

		h := newHarness(t, url, rolesWhere(t, "admin"))
		got, err := h.IssueMachineToken(t.Context(), stranger(), made.ID, secret.Text, nil)
		if err != nil || !slices.Equal(got.Roles, []string{"clerk"}) {
			t.Errorf("a token names %v (%v), want clerk alone", got.Roles, err)
		}
		_, err = h.IssueMachineToken(t.Context(), stranger(), made.ID, secret.Text, []string{"boss"})
		wantKind(t, "a token for boss alone", err, fault.Malformed)
		client := auth.Client{ID: "operator"}
		for token, want := range map[string]bool{old.AccessToken: false, got.AccessToken: true} {
			if x, err := h.Introspect(t.Context(), client, token); err != nil || x.Active != want {
				t.Errorf("active %v (%v), want %v", x.Active, err, want)
			}
		}
		found, err := h.UnsuitableAccounts(t.Context())
		if diff := cmp.Diff([]auth.Unsuitable{{AccountID: made.ID, Roles: []string{"boss"}}}, found); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}
