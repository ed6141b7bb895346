package route

import "strings"

// node is a place in the tree of patterns: one segment further than its
// parent.
type node struct {
	children map[string]*node // by literal segment, decoded
	param    *node            // any segment that is not empty
	exact    *leaf            // the paths that end here
	prefix   *leaf            // this path and all below it
}

// leaf holds the routes of one pattern.
type leaf struct {
	host   string // as in Match
	path   string // the pattern, in the words of its first route
	routes [methodCount]*Route
	allow  string // the Allow field of the pattern

	parameters bool // a route takes parameters in the path
}

// leafFor gives the place of a pattern, which it makes if need be.
func (n *node) leafFor(p pattern) **leaf {
	for _, s := range p.segments {
		n = n.next(s)
	}
	if p.isPrefix {
		return &n.prefix
	}
	return &n.exact
}

func (n *node) next(s segment) *node {
	if s.isParam {
		if n.param == nil {
			n.param = new(node)
		}
		return n.param
	}
	child := n.children[s.literal]
	if child == nil {
		child = new(node)
		if n.children == nil {
			n.children = make(map[string]*node)
		}
		n.children[s.literal] = child
	}
	return child
}

// best is the longest prefix found so far.
type best struct {
	leaf  *leaf
	depth int
}

// find gives the leaf of a path: the exact one, a literal segment before a
// parameter from the left, else that of the longest prefix.
func (n *node) find(path string) *leaf {
	if n == nil {
		return nil
	}
	found := best{depth: -1}
	if l := n.walk(path, 0, &found); l != nil {
		return l
	}
	return found.leaf
}

// walk looks for an exact leaf. rest is what follows the segments of n: empty,
// or a slash and more. Each node is seen once at most, as it has one parent.
func (n *node) walk(rest string, depth int, found *best) *leaf {
	if n.prefix != nil && depth > found.depth {
		*found = best{leaf: n.prefix, depth: depth}
	}
	if rest == "" {
		return n.exact
	}
	text := rest[1:]
	if end := strings.IndexByte(text, '/'); end >= 0 {
		text, rest = text[:end], text[end:]
	} else {
		rest = ""
	}
	if child := n.child(text); child != nil {
		if l := child.walk(rest, depth+1, found); l != nil {
			return l
		}
	}
	if n.param != nil && text != "" {
		return n.param.walk(rest, depth+1, found)
	}
	return nil
}

// child finds the literal segment that text reads as.
func (n *node) child(text string) *node {
	if len(n.children) == 0 {
		return nil
	}
	if strings.IndexByte(text, '%') < 0 {
		return n.children[text]
	}
	var decoded [maxLiteral]byte
	length := 0
	for i := 0; i < len(text); i++ {
		if length == len(decoded) {
			return nil // longer than every literal
		}
		c := text[i]
		if c == '%' {
			c, _ = unescape(text[i:]) // well-formed in a checked path
			i += 2
		}
		decoded[length] = c
		length++
	}
	return n.children[string(decoded[:length])]
}
