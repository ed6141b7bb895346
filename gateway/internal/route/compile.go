package route

import (
	"cmp"
	"slices"
	"strings"
)

// Compile checks the definitions and builds a table of them. The error, if
// any, is of type Problems and holds everything that is wrong.
func Compile(d Definitions) (*Table, error) {
	b := builder{
		table:     &Table{builtIn: new(node), anyHost: new(node), hosts: make(map[string]*node), wildHosts: make(map[string]*node)},
		upstreams: make(map[string]*UpstreamDefinition),
		names:     make(map[string]*Route),
		taken:     make(map[string]*Route),
	}
	for i := range d.Upstreams {
		b.addUpstream(d.Upstreams[i])
	}
	// The built-in routes come first, so that the others are held to them.
	for i := range d.Routes {
		if d.Routes[i].BuiltIn {
			b.addRoute(d.Routes[i])
		}
	}
	for i := range d.Routes {
		if !d.Routes[i].BuiltIn {
			b.addRoute(d.Routes[i])
		}
	}
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	return b.finish(), nil
}

// builder is a table in the making.
type builder struct {
	table     *Table
	problems  Problems
	upstreams map[string]*UpstreamDefinition
	names     map[string]*Route
	taken     map[string]*Route // by host, method and shape
	leaves    []*leaf
	reserved  []reservedPath
}

// reservedPath is the path of a built-in route, which no other may take.
type reservedPath struct {
	pattern pattern
	route   *Route
}

func (b *builder) addUpstream(d UpstreamDefinition) {
	c := checker{problems: &b.problems, source: d.Source, at: d.At}
	d.check(c)
	first, exists := b.upstreams[d.Name]
	switch {
	case d.Name == GatewayUpstream:
		c.report("name", "%q is the gateway itself", d.Name)
	case exists:
		c.report("name", "upstream %q is defined at %v already", d.Name, first.Source)
	default:
		b.upstreams[d.Name] = &d
	}
}

func (b *builder) addRoute(d Definition) {
	c := checker{problems: &b.problems, source: d.Source, at: d.At}
	known := len(b.problems)
	p := d.check(c)
	r := &d.Route
	if first, exists := b.names[r.Name]; exists && r.Name != "" {
		c.report("name", "route %q is defined at %v already", r.Name, first.Source)
	} else {
		b.names[r.Name] = r
	}
	b.checkUpstream(c, r)
	unclear := slices.ContainsFunc(b.problems[known:], isMatchProblem) ||
		c.broken("match") || c.broken("match.host") || c.broken("match.path") || c.broken("match.methods")
	if !unclear { // else its place is a problem that was reported
		b.place(c, r, p)
	}
}

func isMatchProblem(p Problem) bool { return strings.HasPrefix(p.Message, "match.") }

// checkUpstream sees to it that the route leads somewhere, and that only the
// gateway's own routes lead to its own services: behind a path of somebody's
// choosing those would be asked under that route's weaker terms.
func (b *builder) checkUpstream(c checker, r *Route) {
	if !c.written("upstream") {
		c.report("upstream", "missing")
		return
	}
	target, exists := b.upstreams[r.Upstream]
	switch {
	case r.BuiltIn && r.Upstream == GatewayUpstream:
	case r.Upstream == GatewayUpstream, exists && target.BuiltIn && !r.BuiltIn:
		c.report("upstream", "%q serves the gateway's own routes alone", r.Upstream)
	case !exists:
		c.report("upstream", "there is no upstream %q", r.Upstream)
	}
}

// place puts the route into the tree, or reports whose place it is.
func (b *builder) place(c checker, r *Route, p pattern) {
	if r.BuiltIn {
		b.reserved = append(b.reserved, reservedPath{pattern: p, route: r})
	} else {
		for _, own := range b.reserved {
			if p.within(own.pattern) {
				c.report("match.path", "%q belongs to the built-in route %q", r.Match.Path, own.route.Name)
				return
			}
		}
	}
	place := b.treeFor(r).leafFor(p)
	if *place == nil {
		*place = &leaf{host: r.Match.Host, path: r.Match.Path}
		b.leaves = append(b.leaves, *place)
	}
	for i, method := range methodNames() {
		if !slices.Contains(r.Match.Methods, method) {
			continue
		}
		key := r.Match.Host + " " + method + " " + p.shape()
		if first := b.taken[key]; first != nil {
			c.report("match.path", "%s %q is route %q at %v already", method, r.Match.Path, first.Name, first.Source)
			return
		}
		b.taken[key] = r
		(*place).routes[i] = r
	}
}

func (b *builder) treeFor(r *Route) *node {
	switch {
	case r.BuiltIn:
		return b.table.builtIn
	case r.Match.Host == "":
		return b.table.anyHost
	}
	trees, host := b.table.hosts, r.Match.Host
	if name, wild := strings.CutPrefix(host, anyLabel); wild {
		trees, host = b.table.wildHosts, name
	}
	if trees[host] == nil {
		trees[host] = new(node)
	}
	return trees[host]
}

// finish works out what every match will need.
func (b *builder) finish() *Table {
	t := b.table
	for _, l := range b.leaves {
		if l.routes[headIndex] == nil {
			l.routes[headIndex] = l.routes[getIndex]
		}
		var set methodSet
		for i, r := range l.routes {
			if r != nil {
				set |= 1 << i
				r.methods |= 1 << i
				l.parameters = l.parameters || r.PathParameters
			}
		}
		l.allow = set.allow()
	}
	for _, r := range b.names {
		t.routes = append(t.routes, r)
	}
	slices.SortFunc(t.routes, func(a, b *Route) int { return cmp.Compare(a.Name, b.Name) })
	for _, u := range b.upstreams {
		t.upstreams = append(t.upstreams, u.Upstream)
	}
	slices.SortFunc(t.upstreams, func(a, b Upstream) int { return cmp.Compare(a.Name, b.Name) })
	t.allow = publicMethods(t.routes)
	return t
}
