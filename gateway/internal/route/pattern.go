package route

import "strings"

// maxLiteral is how long one segment of a pattern may be, in bytes.
const maxLiteral = 200

// segment is one part of a pattern between slashes.
type segment struct {
	literal string
	isParam bool // any one segment that is not empty
}

// pattern is a path pattern, parsed.
type pattern struct {
	segments []segment
	isPrefix bool // ends in /*
}

// parsePattern reads /exact, /with/{parameter} and /prefix/*. A prefix stands
// for itself too, with and without a slash at its end. The second result says
// what is wrong, or is empty.
//
// Literal segments are written in plain ASCII without escapes: then there is
// one spelling of a pattern, and a request's segment equals it exactly if
// decoding the segment gives that text.
func parsePattern(text string) (pattern, string) {
	var p pattern
	if text == "" || text[0] != '/' {
		return p, "a path starts with a slash"
	}
	parts := strings.Split(text[1:], "/")
	params := make(map[string]bool)
	for i, part := range parts {
		last := i == len(parts)-1
		if part == "*" && last {
			p.isPrefix = true
			break
		}
		if part == "" && !last {
			return p, "the path has an empty segment"
		}
		if strings.HasPrefix(part, "{") {
			name := strings.TrimSuffix(part[1:], "}")
			if !strings.HasSuffix(part, "}") || !isName(name) {
				return p, "a parameter is a whole segment like {id}"
			}
			if params[name] {
				return p, "the parameter {" + name + "} appears twice"
			}
			params[name] = true
			p.segments = append(p.segments, segment{isParam: true})
			continue
		}
		if wrong := wrongLiteral(part); wrong != "" {
			return p, wrong
		}
		p.segments = append(p.segments, segment{literal: part})
	}
	return p, ""
}

// wrongLiteral says what is wrong with a literal segment, or nothing.
func wrongLiteral(text string) string {
	if len(text) > maxLiteral {
		return "a segment of the path is too long"
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '*':
			return "a star is a last segment of its own, as in /prefix/*"
		case c == '%':
			return "a path is written without escapes"
		case !isPathByte(c):
			return "the path holds a character that cannot be in one"
		}
	}
	if text != "" && strings.Trim(text, ".") == "" {
		return "the path has a segment of dots"
	}
	return ""
}

// isName reports whether text is a name of letters, digits, dashes, dots and
// underscores, at most 64 of them, that starts with a letter or a digit.
func isName(text string) bool {
	if text == "" || len(text) > 64 || !isAlphanumeric(text[0]) {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return isUnreserved(c) && c != '-' && c != '.' && c != '_' && c != '~'
}

// within reports whether every path that p matches is matched by outer too.
func (p pattern) within(outer pattern) bool {
	if len(p.segments) < len(outer.segments) ||
		!outer.isPrefix && (p.isPrefix || len(p.segments) != len(outer.segments)) {
		return false
	}
	for i, o := range outer.segments {
		s := p.segments[i]
		switch {
		case o.isParam && (s.isParam || s.literal != ""):
		case !o.isParam && !s.isParam && s.literal == o.literal:
		default:
			return false
		}
	}
	return true
}

// shape is the pattern with the names of its parameters taken out: two
// patterns of one shape match the same paths.
func (p pattern) shape() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.isParam {
			b.WriteString("{}")
		} else {
			b.WriteString(s.literal)
		}
	}
	if p.isPrefix {
		b.WriteString("/*")
	}
	return b.String()
}
