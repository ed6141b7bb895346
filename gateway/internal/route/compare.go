package route

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// maxSteps bounds how many kinds of paths Compare looks at.
const maxSteps = 2_000_000

// Change is a kind of request on which two tables differ.
type Change struct {
	Methods []string
	Host    string // empty for every host
	Path    string // a pattern; more specific ones have changes of their own

	Old, New *Route // nil for none

	Gains, Loses []string // who may pass now and could not, or the other way round, in words
	Terms        []string // on what else they are served differently
}

// Compare finds every kind of request that two tables treat differently, by
// path, host and method. It compares what the tables do and not how they are
// written: it walks through both at once and asks each of them for every kind
// of path that either can tell from another. It fails if that are more than a
// few million.
func Compare(older, newer *Table) ([]Change, error) { return compareWithin(older, newer, maxSteps) }

func compareWithin(older, newer *Table, steps int) ([]Change, error) {
	c := comparison{tables: [2]*Table{older, newer}, found: make(map[pair]methodSet), steps: steps}
	hosts := map[string]bool{"": true}
	for _, t := range c.tables {
		for host := range t.hosts {
			hosts[host] = true
		}
		for name := range t.wildHosts {
			hosts[anyLabel+name] = true
		}
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		if !c.walkHost(host) {
			return nil, errors.New("the routes have too many parameters beside words to compare them")
		}
	}
	var changes []Change
	for p, methods := range c.found {
		if change, differs := p.change(methods); differs {
			changes = append(changes, change)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Host, b.Host), slices.Compare(a.Methods, b.Methods))
	})
	return changes, nil
}

// pair is what the two tables have for a request.
type pair struct {
	leaves [2]*leaf  // of the path; nil for none
	routes [2]*Route // of the path and the method; nil for none
}

// comparison is a walk through two tables.
type comparison struct {
	tables [2]*Table
	host   string // as in Match
	asked  string // one of its hosts, which no route names
	found  map[pair]methodSet
	steps  int // that are left
}

// place is where a walk is in the trees that decide for a host.
type place struct {
	all []*node
	// own are those of the host itself; below says that one of its prefixes
	// covers the place.
	own   []*node
	below bool
}

// walkHost finds the pairs of a host, or with a pattern, which may be empty, of
// all its hosts that have no routes of their own. It gives up when it takes too
// long.
func (c *comparison) walkHost(host string) bool {
	c.host, c.asked = host, host
	name, isWild := strings.CutPrefix(host, anyLabel)
	if isWild {
		c.asked = "~." + name // which no host is called
	}
	var start place
	for _, t := range c.tables {
		start.all = append(start.all, t.builtIn, t.anyHost)
		own, wild := t.hostTrees(c.asked)
		if isWild {
			own, wild = wild, nil
		}
		if own != nil {
			start.own = append(start.own, own)
		}
		if wild != nil {
			start.all = append(start.all, wild)
		}
	}
	start.below = slices.ContainsFunc(start.own, func(n *node) bool { return n.prefix != nil })
	return c.walk(start, "")
}

// walk looks at the path and at every kind of path below it. Below the last
// node that still has routes all paths are alike.
func (c *comparison) walk(at place, path string) bool {
	if c.steps--; c.steps < 0 {
		return false
	}
	if c.host != "" && len(at.own) == 0 && !at.below {
		return true // as on every host, or every one of its pattern
	}
	if path != "" {
		c.look(path)
	}
	if len(at.all)+len(at.own) == 0 {
		return true
	}
	c.look(path + "/")
	literals := at.literals()
	other := "~" // stands for all segments that no route names
	for literals[other] {
		other += "~"
	}
	for literal := range literals {
		if literal != "" && !c.walk(at.next(literal), path+"/"+literal) {
			return false
		}
	}
	return c.walk(at.next(other), path+"/"+other)
}

// look notes what both tables have for a path.
func (c *comparison) look(path string) {
	var p pair
	for i, t := range c.tables {
		p.leaves[i] = t.find(c.asked, path)
	}
	if c.host != "" && p.host() != c.host {
		return
	}
	for i := range methodCount {
		for side, l := range p.leaves {
			if l != nil {
				p.routes[side] = l.routes[i]
			}
		}
		if p.routes != ([2]*Route{}) {
			c.found[p] |= 1 << i
		}
	}
}

// literals are the segments that some route names here.
func (p place) literals() map[string]bool {
	all := make(map[string]bool)
	for _, nodes := range [...][]*node{p.all, p.own} {
		for _, n := range nodes {
			for literal := range n.children {
				all[literal] = true
			}
		}
	}
	return all
}

// next is the place that a segment leads to.
func (p place) next(text string) place {
	to := place{all: following(p.all, text), own: following(p.own, text)}
	to.below = p.below || slices.ContainsFunc(to.own, func(n *node) bool { return n.prefix != nil })
	return to
}

func following(nodes []*node, text string) []*node {
	var next []*node
	for _, n := range nodes {
		if child := n.children[text]; child != nil {
			next = append(next, child)
		}
		if n.param != nil {
			next = append(next, n.param)
		}
	}
	return next
}

// host is the narrower one of the hosts that the patterns are for, or empty.
func (p pair) host() string {
	host := ""
	for _, l := range p.leaves {
		if l != nil && l.host != "" && (host == "" || strings.HasPrefix(host, anyLabel)) {
			host = l.host
		}
	}
	return host
}

// path is the pattern of the requests that both tables treat as they do here.
func (p pair) path() string {
	switch {
	case p.leaves[0] == nil:
		return p.leaves[1].path
	case p.leaves[1] == nil:
		return p.leaves[0].path
	}
	return overlap(p.leaves[0].path, p.leaves[1].path)
}

// overlap is the pattern of the paths that two patterns match which have such.
func overlap(a, b string) string {
	long, longPrefix := strings.CutSuffix(a, "/*")
	short, shortPrefix := strings.CutSuffix(b, "/*")
	// An exact pattern is as long as the overlap.
	if strings.Count(long, "/") < strings.Count(short, "/") {
		long, short = short, long
	}
	both, other := strings.Split(long, "/"), strings.Split(short, "/")
	for i, segment := range other {
		if !strings.HasPrefix(segment, "{") {
			both[i] = segment
		}
	}
	path := strings.Join(both, "/")
	if longPrefix && shortPrefix {
		return path + "/*"
	}
	return path
}
