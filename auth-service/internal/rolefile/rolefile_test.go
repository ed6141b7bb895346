package rolefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/auth-service/internal/rolefile"
)

func TestParse_roles_inherit(t *testing.T) {
	table, err := rolefile.Parse("roles.yaml", []byte(`
roles:
  clerk: { description: Answers the telephone., permissions: [orders:read] }
  buyer: { permissions: [orders:write, orders:read] }
  manager: { inherits: [clerk, buyer], permissions: [orders:refund] }
  director: { inherits: [manager, clerk] }
  admin: { inherits: [director] }
  guest:
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"clerk": {"orders:read"}, "buyer": {"orders:read", "orders:write"}, "guest": {}, "user": {},
		"manager":  {"orders:read", "orders:refund", "orders:write"},
		"director": {"orders:read", "orders:refund", "orders:write"},
		"admin":    {"orders:read", "orders:refund", "orders:write"},
	}
	if diff := cmp.Diff(want, table.Published().Roles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !table.Knows("clerk") || !table.Knows("user") || table.Knows("clerc") {
		t.Error("what is configured is known, and nothing else")
	}
	if open := role.Open(); !open.Knows("anything") || open.Knows("Any Thing") || !open.Knows("admin") {
		t.Error("without a configuration every name is known that is one")
	}
}

func TestParse_refuses_with_file_and_line(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "r.yaml:1: the file is empty"},
		{"no YAML", "roles: [", "r.yaml:1: not YAML"},
		{"a tab", "roles:\n\tclerk: {}", "r.yaml:2: not YAML"},
		{"two documents", "roles: {}\n---\nroles: {}", "more than one document"},
		{"a list", "- clerk", "r.yaml:1: r.yaml: not a mapping"},
		{"another key", "roles: {}\nrules: {}", `r.yaml:2: unknown key "rules"`},
		{"roles as a list", "roles: [clerk]", "r.yaml:1: roles: not a mapping"},
		{"a role that is a text", "roles:\n  clerk: x", "r.yaml:2: clerk: not a mapping"},
		{"an unknown key", "roles:\n  clerk:\n    permision: []", `r.yaml:3: clerk: unknown key "permision"`},
		{"a role twice", "roles:\n  clerk: {}\n  clerk: {}", "r.yaml:3: roles: clerk appears twice; the first is in line 2"},
		{"a name that is none", "roles:\n  Clerk!: {}", `r.yaml:2: "Clerk!" is not a role's name`},
		{"an unknown parent", "roles:\n  clerk:\n    inherits:\n      - boss", `r.yaml:4: the role clerk inherits from "boss", which is not defined`},
		{"a parent twice", "roles:\n  boss: {}\n  clerk: { inherits: [boss, boss] }", "r.yaml:3: the role clerk inherits from boss twice"},
		{"itself", "roles:\n  clerk: { inherits: [clerk] }", "r.yaml:2: roles inherit in a circle: clerk, clerk"},
		{"a circle", "roles:\n  a: { inherits: [b] }\n  b: { inherits: [c] }\n  c: { inherits: [a] }", "r.yaml:4: roles inherit in a circle: a, b, c, a"},
		{"a permission that is none", "roles:\n  clerk:\n    permissions:\n    - orders", `r.yaml:4: "orders" is not a permission`},
		{"a wildcard", "roles:\n  clerk: { permissions: [\"orders:*\"] }", `"orders:*" is not a permission`},
		{"a permission twice", "roles:\n  clerk: { permissions: [a:b, a:b] }", "r.yaml:2: the permission a:b appears twice"},
		{"permissions as a text", "roles:\n  clerk: { permissions: a:b }", "r.yaml:2: clerk.permissions: not a list"},
		{"an alias", "roles:\n  clerk: &c {}\n  boss: *c", "r.yaml:3: roles: aliases"},
		{"a description that is none", "roles:\n  clerk: { description: [] }", "r.yaml:2: clerk.description: not a text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rolefile.Parse("r.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("everything at once", func(t *testing.T) {
		_, err := rolefile.Parse("r.yaml", []byte("roles:\n  A: {}\n  b: { inherits: [x], permissions: [y] }\n  c: 1\n"))
		if err == nil || strings.Count(err.Error(), "r.yaml:") != 4 {
			t.Errorf("got %v", err)
		}
	})
}

func TestLoad_says_which_file_cannot_be_read(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roles.yaml")
	if _, err := rolefile.Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("roles: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rolefile.Load(path); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("roles:\n  clerk: { inherits: [admin], permissions: [a:b] }")
	f.Add("roles:\n  a: &x { inherits: [b] }\n  b: *x")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := rolefile.Parse("r.yaml", []byte(text))
		if (table == nil) == (err == nil) {
			t.Fatalf("table %v and error %v", table, err)
		}
	})
}
