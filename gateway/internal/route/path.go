package route

import (
	"strings"
	"unicode/utf8"
)

// doubtfulPath says in a sentence for the caller why a path could be read in
// two ways, or "" if it has one reading but for its parameters. The path starts
// with a slash.
//
// A segment's parameters begin at its first semicolon (RFC 3986 section 3.3).
// Some servers take them off, others do not; so what remains without them has
// to be a good segment as well, and they must not look like dots themselves.
func doubtfulPath(path string) string {
	start := 1 // of the segment, or of one of its parameters
	dots, inParameter := true, false
	for i := 1; i < len(path); {
		switch c := path[i]; {
		case c == '/' || c == ';':
			if reason := doubtfulPart(i-start, dots, inParameter); reason != "" {
				return reason
			}
			start, dots, inParameter = i+1, true, c == ';'
			i++
		case c == '%':
			size, reason := checkEscape(path[i:])
			if reason != "" {
				return reason
			}
			dots = false
			i += size
		case isPathByte(c):
			dots = dots && c == '.'
			i++
		default:
			return doubtfulByte(c)
		}
	}
	if start < len(path) && dots {
		return reasonDots
	}
	return ""
}

// HasParameters reports whether a checked path holds parameters.
func HasParameters(path string) bool { return strings.IndexByte(path, ';') >= 0 }

// isPlainPath reports whether text is a path with one reading.
func isPlainPath(text string) bool {
	return strings.HasPrefix(text, "/") && doubtfulPath(text) == "" && !HasParameters(text)
}

// withoutParameters takes the parameters off every segment of a checked path.
func withoutParameters(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		if path[i] == ';' {
			end := strings.IndexByte(path[i:], '/')
			if end < 0 {
				break
			}
			i += end
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

const (
	reasonEmpty  = "The path has an empty segment."
	reasonDots   = "The path has a segment of dots."
	reasonEscape = "The path has a malformed escape."
	reasonNeed   = "The path escapes a character that needs no escape."
	reasonHidden = "The path hides a separator in an escape."
	reasonDouble = "The path is escaped twice."
	reasonOctet  = "The path holds a character that must be escaped."
	reasonBack   = "The path holds a backslash."
	reasonCtl    = "The path holds a control character."
	reasonUTF8   = "The path's escapes are not valid UTF-8."
	reasonLook   = "The path holds a character that some readers take for a separator."
)

// doubtfulPart judges a segment or a parameter that a slash or a semicolon
// follows.
func doubtfulPart(length int, dots, isParameter bool) string {
	switch {
	case length == 0 && isParameter:
		return ""
	case length == 0:
		return reasonEmpty
	case dots:
		return reasonDots
	}
	return ""
}

func doubtfulByte(c byte) string {
	switch {
	case c == '\\':
		return reasonBack
	case c < ' ' || c == 0x7f:
		return reasonCtl
	}
	return reasonOctet
}

// checkEscape judges the escapes at the start of text that make up one
// character, and gives their length.
func checkEscape(text string) (size int, reason string) {
	c, ok := unescape(text)
	switch {
	case !ok:
		return 0, reasonEscape
	case c >= utf8.RuneSelf:
		return checkRune(text)
	case isUnreserved(c):
		return 0, reasonNeed
	case c < ' ' || c == 0x7f:
		return 0, reasonCtl
	case c == '/' || c == '\\' || c == ';' || c == '?' || c == '#':
		return 0, reasonHidden
	case c == '%' && len(text) >= 5 && isHex(text[3]) && isHex(text[4]):
		// %252e: a second decoder would find an escape here. What is left, a
		// percent sign before anything else, is an error to it and no escape.
		return 0, reasonDouble
	}
	return 3, ""
}

// checkRune judges the escapes of one character beyond ASCII.
func checkRune(text string) (size int, reason string) {
	var encoded [utf8.UTFMax]byte
	n := 0
	for n < len(encoded) {
		c, ok := unescape(text[3*n:])
		if !ok || n > 0 && utf8.RuneStart(c) {
			break
		}
		encoded[n] = c
		n++
	}
	r, width := utf8.DecodeRune(encoded[:n])
	switch {
	case r == utf8.RuneError && width <= 1:
		return 0, reasonUTF8 // overlong forms and surrogates too
	case r < 0xa0:
		return 0, reasonCtl
	case looksLikeSeparator(r):
		return 0, reasonLook
	}
	return 3 * width, ""
}

// looksLikeSeparator reports whether compatibility normalisation (NFKC), as
// some readers apply it, turns r into text with a slash, backslash, percent
// sign, semicolon, question mark or hash sign, or into dots alone.
func looksLikeSeparator(r rune) bool {
	switch r {
	case 0x037e, // Greek question mark
		0x2024, 0x2025, 0x2026, // dot leaders
		0x2047, 0x2048, 0x2049, // double question marks
		0x2100, 0x2101, 0x2105, 0x2106, // a/c, a/s, c/o, c/u
		0xfe14, 0xfe16, 0xfe19, 0xfe30, // vertical forms
		0xfe52, 0xfe54, 0xfe56, 0xfe5f, 0xfe68, 0xfe6a, // small forms
		0xff03, 0xff05, 0xff0e, 0xff0f, 0xff1b, 0xff1f, 0xff3c: // full width
		return true
	}
	return false
}

// unescape decodes the escape that text starts with.
func unescape(text string) (byte, bool) {
	if len(text) < 3 || text[0] != '%' || !isHex(text[1]) || !isHex(text[2]) {
		return 0, false
	}
	return hexValue(text[1])<<4 | hexValue(text[2]), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// isUnreserved is RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

// isPathByte reports whether c may stand in a segment unescaped: pchar of RFC
// 3986 section 3.3 without the semicolon, which many servers take for the
// start of a parameter, and with the brackets that browsers leave as they are.
func isPathByte(c byte) bool {
	if isUnreserved(c) {
		return true
	}
	switch c {
	case '!', '$', '&', '\'', '(', ')', '*', '+', ',', '=', ':', '@', '[', ']':
		return true
	}
	return false
}
