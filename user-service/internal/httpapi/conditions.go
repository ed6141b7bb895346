package httpapi

import "strings"

// condition is an If-Match or If-None-Match header: any current
// representation, or the listed ones. One that is malformed, an empty one
// among them, lists nothing: it matches nothing as a whole, as what else it
// says may not be what the client meant.
type condition struct {
	any  bool
	tags []string // with their quotes, and W/ before a weak one
}

// readCondition reads the values of the header, which must be there.
func readCondition(values []string) condition {
	list := strings.Trim(strings.Join(values, ","), " \t")
	if list == "*" {
		return condition{any: true}
	}
	return condition{tags: entityTags(list)}
}

// matches reports whether If-Match lets a request pass: strong comparison (RFC
// 9110 section 13.1.1). A client that asked for care is never waved through.
func (c condition) matches(tag string) bool {
	if c.any {
		return true
	}
	for _, entry := range c.tags {
		if entry == `"`+tag+`"` {
			return true
		}
	}
	return false
}

// noneMatch reports whether If-None-Match lets a request pass, that is, whether
// the client's copy is not the current one: weak comparison (section 13.1.2).
// Without the header, and with a malformed one, it does.
func noneMatch(values []string, tag string) bool {
	if len(values) == 0 {
		return true
	}
	c := readCondition(values)
	if c.any {
		return false
	}
	for _, entry := range c.tags {
		if strings.TrimPrefix(entry, "W/") == `"`+tag+`"` {
			return false
		}
	}
	return true
}

// entityTags splits a list of entity tags, and gives none of them if anything
// in it is no tag. A tag may hold a comma, so they are split at the quotes.
// Empty elements are left out, as RFC 9110 section 5.6.1.2 has it.
func entityTags(list string) []string {
	var tags []string
	for rest := strings.TrimLeft(list, " \t,"); rest != ""; {
		opaque, weak := strings.CutPrefix(rest, "W/")
		opaque, quoted := strings.CutPrefix(opaque, `"`)
		tag, after, closed := strings.Cut(opaque, `"`)
		if !quoted || !closed || strings.ContainsFunc(tag, notInTag) {
			return nil
		}
		after = strings.TrimLeft(after, " \t")
		if after != "" && after[0] != ',' {
			return nil
		}
		tag = `"` + tag + `"`
		if weak {
			tag = "W/" + tag
		}
		tags = append(tags, tag)
		rest = strings.TrimLeft(after, " \t,")
	}
	return tags
}

// notInTag reports whether a character has no place in an entity tag (section
// 8.8.3).
func notInTag(r rune) bool { return r <= ' ' || r == 0x7f }
