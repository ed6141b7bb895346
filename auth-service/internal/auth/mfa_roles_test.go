package auth_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// financeTakesAFactor has the role finance, which takes a second factor, lead,
// which inherits from it, head, which does by way of lead, and clerk beside them.
func financeTakesAFactor(t *testing.T) func(*auth.Config) {
	t.Helper()
	define := func(name string, parents ...string) role.Definition {
		d := role.Definition{Name: role.Name{Text: name}}
		for _, p := range parents {
			d.Inherits = append(d.Inherits, role.Name{Text: p})
		}
		return d
	}
	table, err := role.Compile([]role.Definition{define("head", "clerk", "lead"), define("lead", "finance"), define("finance"), define("clerk")})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *auth.Config) { c.Roles, c.MFARoles = table, []string{"finance"} }
}

// giveRoles writes a user's roles to the database, and signs in anew.
func (h *harness) giveRoles(email string, roles ...string) auth.Tokens {
	h.t.Helper()
	err := h.store.InTx(h.t.Context(), func(tx auth.Tx) error {
		u, err := tx.UserByEmail(h.t.Context(), email)
		if err != nil {
			return err
		}
		u.Roles = roles
		return tx.SaveUser(h.t.Context(), u)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.login(email)
}

func (h *harness) refreshed(tokens auth.Tokens) (auth.Tokens, *contract.Claims) {
	h.t.Helper()
	h.clock.advance(time.Second)
	next, err := h.Refresh(h.t.Context(), stranger(), tokens.RefreshToken)
	if err != nil {
		h.t.Fatalf("refresh: %v", err)
	}
	return next, h.with(next).Claims
}

func TestMFARoles_countForRolesThatInheritFromThem(t *testing.T) {
	h := onSQLite(t, financeTakesAFactor(t))
	h.register("ada@example.com")
	tokens := h.giveRoles("ada@example.com", "clerk", "head", "lead", "user")
	c := h.with(tokens).Claims
	if !slices.Equal(c.Roles, []string{"clerk", "user"}) || !slices.Equal(c.Withheld, []string{"head", "lead"}) {
		t.Errorf("without a factor: roles %v, withheld %v", c.Roles, c.Withheld)
	}
	if f, err := h.Factors(t.Context(), h.with(tokens)); err != nil || !slices.Equal(f.RequiredFor, []string{"head", "lead"}) {
		t.Errorf("a factor is required for %v (%v)", f.RequiredFor, err)
	}
	h.enrol(tokens)
	if _, c := h.refreshed(tokens); !slices.Equal(c.Roles, []string{"clerk", "head", "lead", "user"}) || len(c.Withheld) != 0 {
		t.Errorf("with a factor: roles %v, withheld %v", c.Roles, c.Withheld)
	}
}

func TestMFARoles_areNotForServiceAccounts(t *testing.T) {
	h := onSQLite(t, financeTakesAFactor(t))
	root := h.with(h.newAdmin("root@example.com"))
	for _, name := range []string{"finance", "lead", "head"} {
		_, _, err := h.CreateServiceAccount(t.Context(), root, auth.NewServiceAccount{Name: "billing", Roles: []string{"clerk", name}})
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.ValidationFailed || len(f.Fields) != 1 || f.Fields[0].Field != "roles" || !strings.Contains(f.Fields[0].Message, name) {
			t.Errorf("an account with the role %s: %v", name, err)
		}
	}
	made, _, err := h.CreateServiceAccount(t.Context(), root, auth.NewServiceAccount{Name: "billing", Roles: []string{"clerk"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.SetServiceRoles(t.Context(), root, made.ID, []string{"lead"})
	wantKind(t, "the role lead afterwards", err, fault.ValidationFailed)
}

func TestMFARoles_areNotNamedByTokensOfServiceAccountsThatHadThemBefore(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		rules := financeTakesAFactor(t)
		before := newHarness(t, url, rules, func(c *auth.Config) { c.MFARoles = nil })
		made, secret, err := before.CreateServiceAccount(t.Context(), before.with(before.newAdmin("root@example.com")),
			auth.NewServiceAccount{Name: "billing", Roles: []string{"clerk", "lead"}})
		if err != nil {
			t.Fatal(err)
		}
		h := newHarness(t, url, rules)
		got, err := h.IssueMachineToken(t.Context(), stranger(), made.ID, secret.Text, nil)
		if err != nil || !slices.Equal(got.Roles, []string{"clerk"}) {
			t.Errorf("a token names %v (%v)", got.Roles, err)
		}
		if _, err := h.IssueMachineToken(t.Context(), stranger(), made.ID, secret.Text, []string{"lead"}); err == nil {
			t.Error("a token for lead alone was issued")
		}
	})
}

func TestRemoveTOTP_theLastFactorTakesTheRolesAlong(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.MFARoles = []string{contract.RoleAdmin} })
	root := h.newAdmin("root@example.com")
	h.enrol(root)
	root, c := h.refreshed(root)
	if !c.SecondFactor() || !c.HasRole(contract.RoleAdmin) {
		t.Fatalf("with a factor: methods %v, roles %v", c.Methods, c.Roles)
	}
	if err := h.RemoveTOTP(t.Context(), h.with(root), auth.Proof{Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	root, c = h.refreshed(root)
	if c.SecondFactor() || !slices.Contains(c.Methods, auth.MethodPassword) || c.HasRole(contract.RoleAdmin) || !slices.Equal(c.Withheld, []string{contract.RoleAdmin}) {
		t.Errorf("without the last factor: methods %v, roles %v, withheld %v", c.Methods, c.Roles, c.Withheld)
	}
	victim := h.newUser("ada@example.com")
	wantKind(t, "an administrator without a factor", h.LockUser(t.Context(), h.with(root), victim.Account.ID), fault.InsufficientRole)
	h.enrol(root)
	if _, c := h.refreshed(root); !c.SecondFactor() || !c.HasRole(contract.RoleAdmin) {
		t.Errorf("with another factor: methods %v, roles %v", c.Methods, c.Roles)
	}
}
