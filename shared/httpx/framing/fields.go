package framing

import "net/textproto"

// FieldValue reports whether a text has no control characters but tabs, as the
// value of a field (RFC 9110 section 5.5).
func FieldValue(text string) bool { return isFieldValue([]byte(text)) }

// Canonical gives the spelling of a field's name that http.Header uses. A name
// that has it already costs no memory.
func Canonical(name string) string {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			return textproto.CanonicalMIMEHeaderKey(name)
		}
		upper = c == '-'
	}
	return name
}

// Number reads digits and nothing else, up to 18 of them, as a Content-Length
// has (RFC 9110 section 8.6).
func Number(text string) (int64, bool) {
	if text == "" || len(text) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(text) {
		if !isDigit(text[i]) {
			return 0, false
		}
		n = n*10 + int64(text[i]-'0')
	}
	return n, true
}
