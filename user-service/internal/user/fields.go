package user

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"gatehouse.internal/shared/contract"
)

// Longest texts of a profile: names in code points, the others in bytes.
const (
	MaxName      = contract.MaxName
	MaxLocale    = 35 // RFC 5646 section 4.4.1
	MaxTimeZone  = 64
	MaxAvatarURL = 2048
)

// The messages of the field rules are read by people who fill in a form.
var (
	errLocale   = errors.New(`must be a language tag such as "de" or "pt-BR"`)
	errTimeZone = errors.New(`must be a time zone such as "Europe/Berlin"`)
	errAvatar   = errors.New("must be an https:// address")
)

// zoneName is the spelling of IANA time zones. It keeps out what the zone
// loader would take besides: "Local", paths, and files beside the zones.
var zoneName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*([/_+-][A-Za-z0-9]+)*$`)

// checkLocale gives the canonical form of a BCP 47 language tag.
func checkLocale(locale string) (string, error) {
	if len(locale) > MaxLocale || strings.Contains(locale, "_") {
		return "", errLocale
	}
	tag, err := language.Parse(locale)
	if err != nil || tag == language.Und {
		return "", errLocale
	}
	return tag.String(), nil
}

// checkTimeZone refuses what is not in the time zone database.
func checkTimeZone(zone string) (string, error) {
	if len(zone) > MaxTimeZone || zone == "Local" || !zoneName.MatchString(zone) {
		return "", errTimeZone
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return "", errTimeZone
	}
	return zone, nil
}

// checkAvatarURL refuses all but absolute https addresses: pages that show the
// picture must not be made to run a script, or to ask over a plain connection.
func checkAvatarURL(address string) (string, error) {
	if len(address) > MaxAvatarURL {
		return "", fmt.Errorf("must have at most %d characters", MaxAvatarURL)
	}
	if !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool {
		return contract.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("\"<>\\^`{|}", r)
	}) {
		return "", errAvatar
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return "", errAvatar
	}
	return address, nil
}
