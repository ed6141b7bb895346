package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Lengths of passwords, in code points.
const (
	DefaultMinLength = 15
	LeastMinLength   = 8 // no configuration goes below it
	MaxLength        = 256
)

// shortestPeriod is the least length of a part whose repetition makes a
// password: "abcabcabcabcabc" is as easily guessed as "abc".
const shortestPeriod = 8

// Rules say which passwords may be chosen.
type Rules struct {
	MinLength int // in code points
	// Service holds words that every guesser tries first, such as the name of
	// the service.
	Service []string
}

// normal gives the form in which passwords are compared and hashed.
func normal(password string) string { return norm.NFKC.String(password) }

// Problems tells what is wrong with a password, in sentences for the person who
// chose it; none means that it is fit. Words are what a guesser may know of its
// owner: the mail address and names.
func (r Rules) Problems(password string, words ...string) []string {
	if !utf8.ValidString(password) {
		return []string{"must be valid UTF-8"}
	}
	password = normal(password)
	length := utf8.RuneCountInString(password)
	switch {
	case length < r.MinLength:
		return []string{fmt.Sprintf("must have at least %d characters", r.MinLength)}
	case length > MaxLength:
		return []string{fmt.Sprintf("must have at most %d characters", MaxLength)}
	}
	var problems []string
	folded := []rune(strings.ToLower(password))
	part := folded[:period(folded)]
	switch {
	case common(string(folded)) || common(string(part)):
		problems = append(problems, "is one of the most common passwords")
	case len(part) < shortestPeriod:
		problems = append(problems, "repeats a short pattern")
	case sequence(folded):
		problems = append(problems, "is a plain sequence of characters")
	}
	rest := without(string(folded), slices.Concat(r.Service, words))
	if utf8.RuneCountInString(rest) < r.MinLength {
		problems = append(problems, fmt.Sprintf(
			"must have at least %d characters besides your name, your e-mail address and the name of this service", r.MinLength))
	}
	return problems
}

// period is the length of the shortest part whose repetition, the last one
// perhaps cut short, gives text.
func period(text []rune) int {
	borders := make([]int, len(text)) // of each prefix: its longest border
	for i, k := 1, 0; i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = borders[k-1]
		}
		if text[i] == text[k] {
			k++
		}
		borders[i] = k
	}
	if len(text) == 0 {
		return 0
	}
	return len(text) - borders[len(text)-1]
}

// sequence reports whether each character follows the one before it, all up or
// all down; after 9 comes 0.
func sequence(text []rune) bool {
	for _, step := range []rune{1, -1} {
		breaks := func(i int) bool {
			a, b := text[i-1], text[i]
			if step < 0 {
				a, b = b, a
			}
			return b != a+1 && (a != '9' || b != '0')
		}
		whole := true
		for i := 1; i < len(text) && whole; i++ {
			whole = !breaks(i)
		}
		if whole {
			return true
		}
	}
	return false
}

// without removes the words, and the words within them, from folded.
func without(folded string, phrases []string) string {
	var words []string
	for _, phrase := range phrases {
		phrase = strings.ToLower(normal(phrase))
		words = append(words, phrase)
		words = append(words, strings.FieldsFunc(phrase, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r)
		})...)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	for _, w := range words {
		if utf8.RuneCountInString(w) >= 3 { // shorter ones are in every text
			folded = strings.ReplaceAll(folded, w, "")
		}
	}
	return folded
}
