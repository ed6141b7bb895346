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
	if len(r.Roles) > 0 {
		who = "callers with " + rolesInWords(r.Roles)
	}
	if !r.VerifiedEmail {
		return who
	}
	if len(r.Roles) > 0 {
		return who + " and a verified e-mail address"
	}
	return who + " with a verified e-mail address"
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
	verified  bool
}

// callersOf are the kinds of callers that routes with these roles can tell
// apart. Who has several roles may do what each of them may.
func callersOf(roles []string) []caller {
	all := []caller{{anonymous: true}}
	for _, role := range append([]string{""}, roles...) {
		all = append(all, caller{role: role, verified: true}, caller{role: role})
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
	case c.anonymous, r.VerifiedEmail && !c.verified:
		return false
	}
	return len(r.Roles) == 0 || slices.Contains(r.Roles, c.role)
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
	kinds := [...]struct {
		verified, unverified bool
		ending               string
	}{
		{true, true, ""}, {true, false, " with a verified e-mail address"}, {false, true, " without a verified e-mail address"},
	}
	for _, kind := range kinds {
		var with, without []string
		noRole := false
		for _, role := range append([]string{""}, roles...) {
			in := set[caller{role: role, verified: true}] == kind.verified && set[caller{role: role}] == kind.unverified
			switch {
			case role == "":
				noRole = in
			case in:
				with = append(with, role)
			default:
				without = append(without, role)
			}
		}
		switch {
		case noRole && len(without) == 0:
			lines = append(lines, "everybody who is signed in"+kind.ending)
		case noRole:
			lines = append(lines, "everybody who is signed in without the role "+strings.Join(without, " or ")+kind.ending)
		case len(with) > 0:
			lines = append(lines, "callers with "+rolesInWords(with)+kind.ending)
		}
	}
	return lines
}
