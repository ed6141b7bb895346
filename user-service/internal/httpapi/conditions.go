package httpapi

import "strings"

// conditions joins the values of If-Match or If-None-Match. It is "" when the
// header is absent or empty.
func conditions(values []string) string { return strings.TrimSpace(strings.Join(values, ",")) }

// matches reports whether If-Match lets a request pass: strong comparison (RFC
// 9110 section 13.1.1). What is malformed matches nothing, so that a client
// which asked for care is never waved through.
func matches(condition, tag string) bool {
	if condition == "*" {
		return true
	}
	for _, entry := range entityTags(condition) {
		if entry == `"`+tag+`"` {
			return true
		}
	}
	return false
}

// noneMatch reports whether If-None-Match lets a request pass, that is, whether
// the client's copy is not the current one: weak comparison (section 13.1.2).
func noneMatch(values []string, tag string) bool {
	condition := conditions(values)
	if condition == "*" {
		return false
	}
	for _, entry := range entityTags(condition) {
		if strings.TrimPrefix(entry, "W/") == `"`+tag+`"` {
			return false
		}
	}
	return true
}

// entityTags splits a list of entity tags. A tag may hold a comma, so they are
// split at the quotes; reading ends at the first thing that is no tag.
func entityTags(list string) []string {
	var tags []string
	for rest := list; ; {
		rest = strings.TrimLeft(rest, " \t,")
		weak := ""
		if after, ok := strings.CutPrefix(rest, "W/"); ok {
			weak, rest = "W/", after
		}
		after, ok := strings.CutPrefix(rest, `"`)
		if !ok {
			return tags
		}
		tag, after, ok := strings.Cut(after, `"`)
		if !ok {
			return tags
		}
		tags = append(tags, weak+`"`+tag+`"`)
		rest = after
	}
}
