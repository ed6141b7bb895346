package user_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// registered returns a service that knows account 1, just registered.
func registered(t *testing.T) *user.Service {
	s, _ := newService()
	observe(t, s, event(1, contract.AccountRegistered))
	return s
}

// edit changes the profile of account 1.
func edit(t *testing.T, s *user.Service, p user.Patch) (user.Profile, error) {
	t.Helper()
	return s.Edit(t.Context(), user.Edit{ID: usertest.ID(1), Patch: p})
}

func TestService_Edit(t *testing.T) {
	at := usertest.At
	base := user.Profile{ID: usertest.ID(1), Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace", CreatedAt: at, UpdatedAt: at}
	now := at.Add(24 * time.Hour)

	t.Run("fields that are named change, the others stay", func(t *testing.T) {
		s := registered(t)
		got, err := edit(t, s, user.Patch{DisplayName: new(" Countess "), Locale: new("EN-gb"), TimeZone: new("Europe/London"), AvatarURL: new("https://example.com/a?b=c")})
		want := base
		want.DisplayName, want.Locale, want.TimeZone, want.AvatarURL, want.UpdatedAt = "Countess", "en-GB", "Europe/London", "https://example.com/a?b=c", now
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Fatalf("%v (-got +want):\n%s", err, diff)
		}
		read, err := s.Profile(t.Context(), usertest.ID(1))
		if diff := cmp.Diff(read, want); err != nil || diff != "" {
			t.Errorf("read again: %v (-got +want):\n%s", err, diff)
		}
		got, err = edit(t, s, user.Patch{FirstName: new(""), DisplayName: new(""), Locale: new(""), TimeZone: new(""), AvatarURL: new("")})
		want = base
		want.FirstName, want.UpdatedAt = "", now.Add(time.Microsecond)
		if diff := cmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("fields removed: %v (-got +want):\n%s", err, diff)
		}
	})
	t.Run("a change to the same changes nothing", func(t *testing.T) {
		got, err := edit(t, registered(t), user.Patch{FirstName: new("Ada"), DisplayName: new("  ")})
		if diff := cmp.Diff(got, base); err != nil || diff != "" {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
	})
	t.Run("the tag follows every change, also within one tick of the clock", func(t *testing.T) {
		s := registered(t)
		seen := map[string]bool{base.Tag(): true}
		for _, p := range []user.Patch{{DisplayName: new("a")}, {DisplayName: new("b")}, {DisplayName: new("a")}, {DisplayName: new("")}, {FirstName: new("a")}, {LastName: new("a")}} {
			got, err := edit(t, s, p)
			if err != nil || seen[got.Tag()] {
				t.Errorf("%v: tag %s was there before", err, got.Tag())
			}
			seen[got.Tag()] = true
		}
		moved := func(a *contract.Account) { a.Email = "b@example.com" }
		observe(t, s, event(2, contract.AccountEmailChanged, moved))
		if p, err := s.Profile(t.Context(), usertest.ID(1)); err != nil || seen[p.Tag()] {
			t.Errorf("%v: a new address has an old tag", err)
		}
		before, _ := s.Profile(t.Context(), usertest.ID(1))
		observe(t, s, event(3, contract.AccountSignedIn, moved), event(3, contract.AccountRolesChanged, moved))
		if p, err := s.Profile(t.Context(), usertest.ID(1)); err != nil || p.Tag() != before.Tag() {
			t.Errorf("%v: the tag changed though the profile did not", err)
		}
	})
	t.Run("an edit that is not allowed changes nothing", func(t *testing.T) {
		s := registered(t)
		var asked string
		_, err := s.Edit(t.Context(), user.Edit{ID: usertest.ID(1), Patch: user.Patch{FirstName: new("x")}, Allowed: func(tag string) bool { asked = tag; return false }})
		if !fault.Is(err, fault.PreconditionFailed) || asked != base.Tag() {
			t.Errorf("%v, asked for %q", err, asked)
		}
		if got, _ := s.Profile(t.Context(), usertest.ID(1)); got != base {
			t.Errorf("now %+v", got)
		}
	})
	t.Run("a deleted account cannot be edited", func(t *testing.T) {
		s := registered(t)
		observe(t, s, event(2, contract.AccountDeleted))
		if _, err := edit(t, s, user.Patch{FirstName: new("x")}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
	})
	t.Run("every problem is told at once", func(t *testing.T) {
		_, err := edit(t, registered(t), user.Patch{FirstName: new("a\nb"), LastName: new("\x00"), Locale: new("?"), TimeZone: new("?"), AvatarURL: new("?"), DisplayName: new("good")})
		want := []string{"first_name", "last_name", "locale", "time_zone", "avatar_url"}
		if diff := cmp.Diff(fields(err), want); diff != "" {
			t.Errorf("%v (-got +want):\n%s", err, diff)
		}
	})
}

// fields returns the names of the fields that a failure is about.
func fields(err error) []string {
	var names []string
	if f, ok := err.(*fault.Error); ok && f.Kind == fault.ValidationFailed { //nolint:errorlint // the rules return it unwrapped, as callers must see it
		for _, field := range f.Fields {
			names = append(names, field.Field)
		}
	}
	return names
}

func TestService_Edit_fields(t *testing.T) {
	text := func(p *user.Patch, field string) **string {
		return map[string]**string{
			"first_name": &p.FirstName, "last_name": &p.LastName, "display_name": &p.DisplayName,
			"locale": &p.Locale, "time_zone": &p.TimeZone, "avatar_url": &p.AvatarURL,
		}[field]
	}
	for field, c := range map[string]struct{ good, bad []string }{
		"display_name": {
			[]string{"Ada", "Дмитрий", "a b", "👩‍🚀", strings.Repeat("é", user.MaxName), "<b>", "'; --"},
			[]string{strings.Repeat("é", user.MaxName+1), "a\tb", "a\nb", "a\x00b", "\x7fb", "a\u0085b", "a\u2028b", "a\u202eb", "\ufeffb", "a\ufffe", "\ufdd0", "\xff"},
		},
		"locale": {
			[]string{"de", "en-GB", "pt-br", "zh-Hant-TW", "de-CH-1996"},
			[]string{"en_US", "english language", "e", "xx-invalid-locale-tag-that-is-long", "und", "-", "de\n", "de-", "C", "en;q=1", strings.Repeat("a-", 50)},
		},
		"time_zone": {
			[]string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Etc/GMT-14", "America/Port-au-Prince", "EST5EDT"},
			[]string{"Local", "europe/berlin", "Europe/Atlantis", "../../etc/passwd", "/Europe/Berlin", "Europe//Berlin", "Europe/", "posix/Europe/Berlin", "zone.tab", "localtime", "UTC\n", "Europe\\Berlin", strings.Repeat("A", 65)},
		},
		"avatar_url": {
			[]string{"https://example.com/a.png", "https://example.com:8443/a?x=1#y", "https://[2001:db8::1]/", "https://example.com/" + strings.Repeat("a", user.MaxAvatarURL-20)},
			[]string{"http://example.com/a.png", "javascript:alert(1)", "data:image/png;base64,AA", "//example.com/a", "/a.png", "https://", "https:///a", "https:example.com", "https://user:pass@example.com/", "https://example.com/a b", "https://example.com/\n", "https://example.com/\"onload=", "https://exa\u202emple.com/", "https://example.com/%zz", "https://example.com/" + strings.Repeat("a", user.MaxAvatarURL)},
		},
	} {
		for _, value := range c.good {
			var p user.Patch
			*text(&p, field) = &value
			if _, err := edit(t, registered(t), p); err != nil {
				t.Errorf("%s %.60q is refused: %v", field, value, err)
			}
		}
		for _, value := range c.bad {
			var p user.Patch
			*text(&p, field) = &value
			got, err := edit(t, registered(t), p)
			if diff := cmp.Diff(fields(err), []string{field}); diff != "" {
				t.Errorf("%s %.60q gives %v, %v", field, value, got, err)
			}
		}
	}
}
