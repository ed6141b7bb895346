package direct

import (
	"net/textproto"
	"strings"
)

// Sets of octets.
const (
	nameOctet  = 1 << iota // of the names of fields (RFC 9110 section 5.6.2), but for the underscore, which some read as a dash
	pathOctet              // of paths, that have one spelling only
	hostOctet              // of names and addresses with a port
	fieldOctet             // of the names of fields in answers
)

var octets = func() (table [256]byte) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for set, members := range map[byte]string{nameOctet: letters + "!#$%&'*+-.^`|~", pathOctet: letters + "-._~/", hostOctet: letters + "-._:[]", fieldOctet: letters + "!#$%&'*+-.^_`|~"} {
		for i := range len(members) {
			table[members[i]] |= set
		}
	}
	return table
}()

func isName(text string) bool      { return all(text, nameOctet) }
func isFieldName(text string) bool { return all(text, fieldOctet) }
func plainPath(text string) bool   { return all(text, pathOctet) }
func plainHost(text string) bool   { return text != "" && all(text, hostOctet) }

func all(text string, set byte) bool {
	for i := range len(text) {
		if octets[text[i]]&set == 0 {
			return false
		}
	}
	return true
}

// visible reports whether a text is of ASCII that can be seen.
func visible(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// safeValue gives a value that cannot end its line, as net/http does for what
// handlers set.
func safeValue(value string) string {
	if strings.IndexByte(value, '\n') < 0 && strings.IndexByte(value, '\r') < 0 {
		return textproto.TrimString(value)
	}
	return textproto.TrimString(strings.NewReplacer("\r", " ", "\n", " ").Replace(value))
}
