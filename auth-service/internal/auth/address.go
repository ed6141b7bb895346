package auth

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse.internal/shared/fault"
)

// maxEmail is the longest address that a mail server must accept (RFC 5321
// section 4.5.3.1.3, without the angle brackets).
const maxEmail = 254

// foldEmail gives the form in which addresses are compared. Nearly every mail
// server takes the local part in any case, and two accounts that differ in case
// alone would be an invitation to take one for the other.
func foldEmail(text string) string { return strings.ToLower(text) }

// addressable reports whether a text may be looked for among the addresses of
// accounts. It is looser than parseEmail, so that a rule which becomes stricter
// locks nobody out, but keeps out what no account ever had and what not every
// database takes: a NUL is an error to PostgreSQL, not an address without an
// account.
func addressable(text string) bool {
	return text != "" && len(text) <= maxEmail && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// parseEmail checks an address and gives its folded form.
func parseEmail(field, text string) (string, error) {
	bad := func(message string) (string, error) {
		return "", fault.Invalid(fault.Field{Field: field, Message: message})
	}
	switch {
	case text == "":
		return bad("is missing")
	case len(text) > maxEmail:
		return bad("is too long")
	case !addressable(text):
		return bad("is not an e-mail address")
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Address != text || parsed.Name != "" {
		return bad("is not an e-mail address")
	}
	at := strings.LastIndexByte(text, '@')
	local, domain := text[:at], text[at+1:]
	if len(local) > 64 || strings.Trim(strings.ToLower(local), "abcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-") != "" || !hostname(domain) {
		return bad("is not an e-mail address")
	}
	return foldEmail(text), nil
}

// hostname reports whether text is a name of at least two labels in letters,
// digits and inner hyphens (RFC 1123 section 2.1), the last not a number.
func hostname(text string) bool {
	labels := strings.Split(strings.ToLower(text), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(labels) >= 2 && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}
