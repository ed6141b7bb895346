// Package role decides what roles there are and what they permit. Roles are
// configured, not stored: they inherit from one another, and what a role permits
// is what it says and what its parents permit.
//
// It refuses roles that inherit from themselves, names that nobody defines and
// names that are none, all of them at once and each with its place. The roles
// user and admin always exist; a configuration may say what they permit.
package role

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gatehouse.internal/shared/contract"
)

// Position is a place in a file. Lines count from 1.
type Position struct {
	File string
	Line int
}

func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Name is a name with the place where it stands.
type Name struct {
	Text string
	At   Position
}

// Definition is a role as somebody wrote it.
type Definition struct {
	Name        Name
	Description string
	Inherits    []Name
	Permissions []Name
}

// Role is a role of a Table.
type Role struct {
	Name        string
	Description string
	Inherits    []string // in order, as are the permissions
	Ancestors   []string // all that it inherits from, by whatever way
	Permissions []string // its own
	Effective   []string // with those that it inherits
	BuiltIn     bool
}

// Table is what roles there are. It never changes.
type Table struct {
	roles map[string]*Role
	open  bool
}

// Open is the table of an installation that configures no roles: any name may
// be given to a user, and no role permits anything by name.
func Open() *Table {
	t, _ := Compile(nil) // of nothing, nothing is wrong
	t.open = true
	return t
}

// IsName reports whether a text can be a role's name.
func IsName(text string) bool {
	return regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`).MatchString(text)
}

// Compile makes the table of definitions, or returns every problem, one a line.
func Compile(definitions []Definition) (*Table, error) {
	c := compiler{defined: make(map[string]*Definition), table: &Table{roles: make(map[string]*Role)}, state: make(map[string]int)}
	if len(definitions) > contract.MaxRoles {
		return nil, fmt.Errorf("%v: more than %d roles", definitions[contract.MaxRoles].Name.At, contract.MaxRoles)
	}
	for i := range definitions {
		c.add(&definitions[i])
	}
	for _, name := range []string{contract.RoleUser, contract.RoleAdmin} {
		if c.defined[name] == nil {
			c.defined[name] = &Definition{Name: Name{Text: name}}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.defined)) {
		c.resolve(name, nil)
	}
	if len(c.problems) > 0 {
		slices.SortStableFunc(c.problems, func(a, b problem) int {
			return cmp.Or(cmp.Compare(a.at.File, b.at.File), cmp.Compare(a.at.Line, b.at.Line))
		})
		errs := make([]error, 0, len(c.problems))
		for _, p := range c.problems {
			errs = append(errs, fmt.Errorf("%v: %s", p.at, p.text))
		}
		return nil, errors.Join(errs...)
	}
	return c.table, nil
}

type problem struct {
	at   Position
	text string
}

// compiler is a table in the making.
type compiler struct {
	defined  map[string]*Definition
	table    *Table
	state    map[string]int
	problems []problem
}

// States of a role that is looked at.
const (
	underWay = iota + 1
	done
)

func (c *compiler) refuse(at Position, format string, args ...any) {
	c.problems = append(c.problems, problem{at, fmt.Sprintf(format, args...)})
}

// add takes a definition and checks what it says by itself.
func (c *compiler) add(d *Definition) {
	name := d.Name.Text
	switch first := c.defined[name]; {
	case !IsName(name):
		c.refuse(d.Name.At, "%q is not a role's name: 1 to 32 small letters, digits, dashes and underscores that start with a letter", name)
		return
	case first != nil:
		c.refuse(d.Name.At, "the role %s is defined at %v already", name, first.Name.At)
		return
	}
	c.defined[name] = d
	for i, p := range d.Permissions {
		if !contract.IsPermission(p.Text) {
			c.refuse(p.At, "%q is not a permission such as orders:read", p.Text)
		}
		if slices.ContainsFunc(d.Permissions[:i], func(o Name) bool { return o.Text == p.Text }) {
			c.refuse(p.At, "the permission %s appears twice", p.Text)
		}
	}
}

// resolve works out what a role permits. The path are the roles that led here.
func (c *compiler) resolve(name string, path []string) *Role {
	if c.state[name] == done {
		return c.table.roles[name]
	}
	c.state[name] = underWay
	d := c.defined[name]
	r := &Role{Name: name, Description: d.Description, BuiltIn: name == contract.RoleUser || name == contract.RoleAdmin}
	for _, p := range d.Permissions {
		r.Permissions = append(r.Permissions, p.Text)
	}
	r.Effective = slices.Clone(r.Permissions)
	path = append(path, name)
	for i, parent := range d.Inherits {
		switch {
		case c.defined[parent.Text] == nil:
			c.refuse(parent.At, "the role %s inherits from %q, which is not defined", name, parent.Text)
		case slices.ContainsFunc(d.Inherits[:i], func(o Name) bool { return o.Text == parent.Text }):
			c.refuse(parent.At, "the role %s inherits from %s twice", name, parent.Text)
		case c.state[parent.Text] == underWay:
			circle := path[slices.Index(path, parent.Text):]
			c.refuse(parent.At, "roles inherit in a circle: %s", strings.Join(append(slices.Clone(circle), parent.Text), ", "))
		default:
			above := c.resolve(parent.Text, path)
			r.Inherits = append(r.Inherits, parent.Text)
			r.Ancestors = append(append(r.Ancestors, parent.Text), above.Ancestors...)
			r.Effective = append(r.Effective, above.Effective...)
		}
	}
	slices.Sort(r.Inherits)
	slices.Sort(r.Ancestors)
	r.Ancestors = slices.Compact(r.Ancestors)
	slices.Sort(r.Permissions)
	slices.Sort(r.Effective)
	r.Effective = slices.Compact(r.Effective)
	if len(r.Effective) > contract.MaxPermissions {
		c.refuse(d.Name.At, "the role %s has more than %d permissions", name, contract.MaxPermissions)
	}
	c.table.roles[name], c.state[name] = r, done
	return r
}

// Roles lists the roles by name. They must not be changed.
func (t *Table) Roles() []*Role {
	out := make([]*Role, 0, len(t.roles))
	for _, name := range slices.Sorted(maps.Keys(t.roles)) {
		out = append(out, t.roles[name])
	}
	return out
}

// Knows reports whether a role may be given to a user.
func (t *Table) Knows(name string) bool {
	return t.roles[name] != nil || t.open && IsName(name)
}

// Is reports whether who has the role has the other one too: because it is the
// same, or inherits from it.
func (t *Table) Is(name, other string) bool {
	r := t.roles[name]
	return name == other || r != nil && slices.Contains(r.Ancestors, other)
}

// Published is the table as others get it, without a version yet.
func (t *Table) Published() contract.RoleTable {
	out := contract.RoleTable{Roles: make(map[string][]string, len(t.roles))}
	for name, r := range t.roles {
		out.Roles[name] = append([]string{}, r.Effective...)
	}
	return out
}
