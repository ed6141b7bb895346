package route

import (
	"slices"
	"strings"
)

// Callers says in words who may pass a route.
func (r *Route) Callers() string {
	switch r.Auth {
	case AuthNone:
		return "everybody"
	case AuthOptional:
		return "everybody; a token is checked if there is one"
	case AuthRequired:
	}
	who := "everybody who is signed in"
	var needs []string
	if len(r.Roles) > 0 {
		who, needs = "callers", append(needs, rolesInWords(r.Roles))
	}
	if len(r.Permissions) > 0 {
		who, needs = "callers", append(needs, "the permissions "+strings.Join(r.Permissions, ", "))
	}
	if r.VerifiedEmail {
		needs = append(needs, "a verified e-mail address")
	}
	if r.MFA {
		needs = append(needs, "a second factor")
	}
	if len(needs) == 0 {
		return who
	}
	return who + " with " + strings.Join(needs, " and ")
}

func rolesInWords(roles []string) string {
	if len(roles) == 1 {
		return "the role " + roles[0]
	}
	return "one of the roles " + strings.Join(roles, ", ")
}

// caller stands for all callers who are alike to two routes.
type caller struct {
	anonymous bool
	role      string // the only one that a route may ask for; empty for none
	standing
}

// standing is what a route may ask of a caller beside roles.
type standing struct{ verified, factor bool }

var standings = [...]standing{{true, true}, {true, false}, {false, true}, {false, false}}

// callersOf are the kinds of callers that routes with these roles can tell
// apart. Who has several roles may do what each of them may.
func callersOf(roles []string) []caller {
	all := []caller{{anonymous: true}}
	for _, role := range append([]string{""}, roles...) {
		for _, s := range standings {
			all = append(all, caller{role: role, standing: s})
		}
	}
	return all
}

// lets reports whether a route lets a caller pass; no route lets nobody.
func lets(r *Route, c caller) bool {
	switch {
	case r == nil:
		return false
	case r.Auth != AuthRequired:
		return true
	case c.anonymous, r.VerifiedEmail && !c.verified, r.MFA && !c.factor:
		return false
	}
	return len(r.Roles) == 0 || slices.Contains(r.Roles, c.role)
}

// endings say in words which standings are meant: one for each set of them that
// can be what one route lets pass and another does not.
var endings = [...]struct {
	who  [len(standings)]bool // in the order of standings
	text string
}{
	{[...]bool{true, true, true, true}, ""},
	{[...]bool{true, true, false, false}, " with a verified e-mail address"},
	{[...]bool{false, false, true, true}, " without a verified e-mail address"},
	{[...]bool{true, false, true, false}, " with a second factor"},
	{[...]bool{false, true, false, true}, " without a second factor"},
	{[...]bool{true, false, false, false}, " with a verified e-mail address and a second factor"},
	{[...]bool{false, true, true, true}, " without a verified e-mail address or without a second factor"},
	{[...]bool{false, true, false, false}, " with a verified e-mail address and without a second factor"},
	{[...]bool{false, false, true, false}, " with a second factor and without a verified e-mail address"},
}

// standingsIn are those with which callers who have the role are in the set.
func standingsIn(set map[caller]bool, role string) (in [len(standings)]bool) {
	for i, s := range standings {
		in[i] = set[caller{role: role, standing: s}]
	}
	return in
}

// inWords describes a set of the callers that routes with these roles can tell
// apart, a line for each kind.
func inWords(set map[caller]bool, roles []string) []string {
	if len(set) == len(callersOf(roles)) {
		return []string{"everybody"}
	}
	var lines []string
	if set[caller{anonymous: true}] {
		lines = append(lines, "callers without a token")
	}
	for _, ending := range endings {
		var with, without []string
		for _, role := range roles {
			if standingsIn(set, role) == ending.who {
				with = append(with, role)
			} else {
				without = append(without, role)
			}
		}
		noRole := standingsIn(set, "") == ending.who
		switch {
		case noRole && len(without) == 0:
			lines = append(lines, "everybody who is signed in"+ending.text)
		case noRole:
			lines = append(lines, "everybody who is signed in without the role "+strings.Join(without, " or ")+ending.text)
		case len(with) > 0:
			lines = append(lines, "callers with "+rolesInWords(with)+ending.text)
		}
	}
	return lines
}
