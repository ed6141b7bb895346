package framing

import "encoding/binary"

// isToken reports whether text is a token (RFC 9110 section 5.6.2).
func isToken(text []byte) bool {
	for _, c := range text {
		if !tokenOctets[c] {
			return false
		}
	}
	return len(text) > 0
}

// tokenOctets has true for every octet that a token may have.
var tokenOctets = func() (table [256]bool) {
	for c := range table {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		table[c] = letter || c < 0x80 && isDigit(byte(c))
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] = true
	}
	return table
}()

// isFieldValue reports whether no octet of the text is a control character,
// but for tabs (RFC 9110 section 5.5). Octets beyond ASCII pass. It looks at
// eight octets at a time, as values are most of a head.
func isFieldValue(text []byte) bool {
	for len(text) >= 8 {
		if word := binary.LittleEndian.Uint64(text); maybeControl(word) && !plain(text[:8]) {
			return false
		}
		text = text[8:]
	}
	return plain(text)
}

// maybeControl reports whether some octet of the word is a control character,
// or a tab.
func maybeControl(word uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	below := (word - ones*0x20) & ^word // has the high bit where an octet is below 0x20
	del := word ^ ones*0x7f
	isDel := (del - ones) & ^del
	return (below|isDel)&highs != 0
}

func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trim removes spaces and tabs from both ends (OWS, RFC 9110 section 5.6.3).
func trim(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for len(text) > 0 && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}

// looksLike reports whether a server that takes underscores for dashes, as
// those that hand fields on as variables do, would read the name as this one.
func looksLike(name []byte, lower string) bool {
	for i, c := range name {
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
