package coding

import (
	"net/http"
	"strings"
)

// The same document encoded and not encoded are two representations, whose
// bytes must not be mixed, and a strong validator names the bytes of one of
// them (RFC 9110 section 8.8.1). So the entity tag of an encoded answer is a
// weak one. With that a cache may ask whether the document has changed
// (If-None-Match compares weakly); nobody can ask for a part of it (If-Range)
// or have something done to it on that condition (If-Match), which both compare
// strongly.

// Weaken makes the validator in the header of an answer a weak one.
func Weaken(h http.Header) {
	if tag, ok := strongTag(h); ok {
		h["Etag"] = []string{weak + tag}
	}
}

// NotModified gives a 304 the validator under which the client has the answer
// (RFC 9110 section 15.4.5): the one of the two that it has named. One that has
// named neither has the weak one if it takes encoded answers.
func NotModified(asked, h http.Header, encoded bool) {
	tag, ok := strongTag(h)
	if !ok {
		return
	}
	for _, line := range asked["If-None-Match"] {
		rest := strings.ReplaceAll(line, weak+tag, "")
		if strings.Contains(rest, tag) {
			return
		}
		encoded = encoded || len(rest) < len(line)
	}
	if encoded {
		h["Etag"] = []string{weak + tag}
	}
}

// Joins reports whether the bytes that a client has, and for the rest of which
// it asks under the condition of its If-Range, may be those of an encoded
// answer. The rest of one that is not encoded must not be joined to them. A
// strong tag was never theirs; a date is that of both, so it depends on whether
// the client takes encoded answers.
func Joins(asked http.Header, encoded bool) bool {
	conditions := asked["If-Range"]
	switch {
	case len(conditions) == 0:
		return false
	case len(conditions) > 1, strings.HasPrefix(conditions[0], weak):
		return true
	}
	return encoded && !strings.HasPrefix(conditions[0], `"`)
}

const weak = "W/"

// strongTag gives the entity tag of an answer if it is a strong one.
func strongTag(h http.Header) (string, bool) {
	if tags := h["Etag"]; len(tags) == 1 && strings.HasPrefix(tags[0], `"`) {
		return tags[0], true
	}
	return "", false
}
