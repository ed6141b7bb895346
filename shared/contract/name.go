package contract

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how many code points a person's first, last or display name may
// have.
const MaxName = 100

// CheckName gives a person's name without the white space around it, or says
// what is wrong with it in words for the person. It is one rule for the service
// that takes a name at registration and the one that keeps it: what the first
// lets in, the second would have to show.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case !utf8.ValidString(name):
		return "", errors.New("must be UTF-8")
	case utf8.RuneCountInString(name) > MaxName:
		return "", fmt.Errorf("must have at most %d characters", MaxName)
	case strings.ContainsFunc(name, IsControl):
		return "", errors.New("must not contain control characters")
	}
	return name, nil
}

// IsControl reports whether a character has no place in a line of text: it
// ends the line, is not to be seen, or turns the writing direction of what
// follows it, as names in an administrator's list must not.
func IsControl(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029': // line and paragraph separator
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069': // embedding, override, isolate
		return true
	case r == '\ufeff', r&0xfffe == 0xfffe, r >= '\ufdd0' && r <= '\ufdef': // byte order mark, noncharacters
		return true
	}
	return false
}
