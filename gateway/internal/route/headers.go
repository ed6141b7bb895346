package route

import (
	"net/http"
	"slices"
	"strings"
)

// Field is a header field that a rule sets. Its name is spelt as net/http
// spells it.
type Field struct{ Name, Value string }

// HeaderRules change the header of a message that passes the gateway. They can
// touch neither what the gateway itself says of a caller nor what frames a
// message.
type HeaderRules struct {
	Set    []Field  // in place of all lines of that name
	Remove []string // spelt as net/http spells them
}

// Apply changes a header whose names are spelt as net/http spells them.
func (rules *HeaderRules) Apply(h http.Header) {
	for _, name := range rules.Remove {
		delete(h, name)
	}
	for _, f := range rules.Set {
		h[f.Name] = []string{f.Value}
	}
}

// The bounds of header rules.
const (
	maxHeaderRules = 32
	maxFieldName   = 64
	maxFieldValue  = 2048
)

// headerCheck holds the rules of one direction to what they may change.
type headerCheck struct {
	checker
	field string // in the file, such as "request_headers"
	// reserved says why a field is not a route's to change, or nothing.
	reserved func(name string, set bool) string
}

// check reports what is wrong with rules, and gives them in canonical
// spelling.
func (c headerCheck) check(rules HeaderRules) HeaderRules {
	checked := HeaderRules{}
	known := make(map[string]bool)
	set, remove := c.field+".set", c.field+".remove"
	for i, f := range rules.Set {
		f.Name = c.name(set, i, f.Name, known, true)
		if len(f.Value) > maxFieldValue || !isFieldValue(f.Value) {
			c.reportItem(set, i, "the value of %s is not up to %d visible ASCII characters with spaces between them", f.Name, maxFieldValue)
		}
		checked.Set = append(checked.Set, f)
	}
	for i, name := range rules.Remove {
		checked.Remove = append(checked.Remove, c.name(remove, i, name, known, false))
	}
	c.count(set, len(rules.Set))
	c.count(remove, len(rules.Remove))
	return checked
}

// name reports what is wrong with a name, and gives its canonical spelling.
func (c headerCheck) name(field string, i int, name string, known map[string]bool, set bool) string {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !isFieldName(name):
		c.reportItem(field, i, "%q is not the name of a header field", name)
	case known[canonical]:
		c.reportItem(field, i, "%s appears twice", canonical)
	default:
		if why := c.reserved(canonical, set); why != "" {
			c.reportItem(field, i, "%s %s", canonical, why)
		}
	}
	known[canonical] = true
	return canonical
}

func (c headerCheck) count(field string, n int) {
	switch {
	case n > maxHeaderRules:
		c.report(field, "names %d fields, more than %d", n, maxHeaderRules)
	case n == 0 && c.written(field):
		c.report(field, "names no field; leave it out")
	}
}

const (
	reservedFraming = "frames the message or belongs to one connection, which a rule cannot change"
	reservedOwn     = "is the gateway's own to say"
	reservedCookie  = "carries sessions; a rule can remove it only"
	reservedToken   = "is the caller's token; forward_authorization: false keeps it back"
)

// reservedInRequests says why rules for requests cannot change a field.
func reservedInRequests(name string, set bool) string {
	switch {
	case isFraming(name) || name == "Host" || name == "Expect":
		return reservedFraming
	case name == "Authorization":
		return reservedToken
	case IsOwnField(name) || name == "Via" || name == "Traceparent" || name == "Tracestate":
		return reservedOwn
	case name == "Cookie" && set:
		return reservedCookie
	}
	return ""
}

// reservedInResponses says why rules for answers cannot change a field.
func reservedInResponses(name string, set bool) string {
	switch {
	case isFraming(name):
		return reservedFraming
	case IsOwnField(name) || strings.HasPrefix(name, "Access-Control-") || strings.HasPrefix(name, "Ratelimit"):
		return reservedOwn
	case name == "Set-Cookie" && set:
		return reservedCookie
	}
	return ""
}

// isFraming reports whether a field says where a message ends or how it is
// coded (RFC 9112), belongs to one hop (RFC 9110 section 7.6.1) or makes a
// handshake (RFC 6455).
func isFraming(name string) bool {
	return strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "Sec-") || slices.Contains([]string{
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Content-Length", "Content-Encoding", "Content-Range",
	}, name)
}

// isFieldName reports whether text is a token (RFC 9110 section 5.6.2), and
// not a long one.
func isFieldName(text string) bool {
	if text == "" || len(text) > maxFieldName {
		return false
	}
	for i := range len(text) {
		if c := text[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// isFieldValue reports whether text is a field value (RFC 9110 section 5.5) of
// visible ASCII: no line break or other control character can pass.
func isFieldValue(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return strings.TrimSpace(text) == text
}
