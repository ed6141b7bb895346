package route

import (
	"slices"

	"gatehouse.internal/shared/fault"
)

// Methods are all methods by which the route is reached: those that it names,
// and HEAD with GET where no other route has it.
func (r *Route) Methods() []string { return r.methods.names() }

// TakesEveryMethod reports whether the route is reached by all that Methods()
// lists.
func (r *Route) TakesEveryMethod() bool { return r.methods == 1<<methodCount-1 }

// DecidedAt gives the place of the line that refuses a caller with an error of
// this kind, or that lets callers pass if there is none.
func (r *Route) DecidedAt(kind fault.Kind) Position {
	at := r.decides.auth
	switch kind {
	case fault.InsufficientRole:
		if at = r.decides.roles; at == (Position{}) {
			at = r.decides.permissions
		}
	case fault.EmailUnverified:
		at = r.decides.verified
	case fault.MFARequired:
		at = r.decides.mfa
	}
	if at == (Position{}) {
		return r.Source
	}
	return at
}

// Fitting are all routes whose host and pattern fit a request, whatever its
// method, ordered by name. Match chooses the most specific pattern of them.
// path is a result of CheckTarget.
func (t *Table) Fitting(host, path string) []*Route {
	host, _ = normalHost(withoutPort(host))
	return slices.Collect(func(yield func(*Route) bool) {
		for _, r := range t.routes {
			p, _ := parsePattern(r.Match.Path) // has been parsed before
			tree := new(node)
			*tree.leafFor(p) = new(leaf)
			if fitsHost(r.Match.Host, host) && tree.find(path) != nil && !yield(r) {
				return
			}
		}
	})
}
