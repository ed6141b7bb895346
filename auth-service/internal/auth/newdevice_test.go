package auth_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestLogin_tellsOfANewDevice(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		told := 0
		signIn := func(what string, news bool, c auth.Caller) auth.Tokens {
			t.Helper()
			h.clock.advance(time.Second)
			out, err := h.Login(t.Context(), c, "ada@example.com", goodPassword)
			if err != nil {
				t.Fatal(err)
			}
			letters := h.letters("ada@example.com", auth.MailNewDevice)
			if got := len(letters) > told; got != news {
				t.Errorf("%s: told of a new device: %v, want %v", what, got, news)
			}
			if told = len(letters); news && told > 0 && letters[told-1].Data[auth.DataAddress] != c.Address {
				t.Errorf("%s: the letter tells %v", what, letters[told-1].Data)
			}
			return out
		}
		h.register("ada@example.com")
		first := signIn("the first sign-in", false, from("2001:db8::1", auth.Tokens{}))
		signIn("the same client, another address of its network", false, from("2001:db8::2", auth.Tokens{}))
		signIn("another network", true, from("198.51.100.1", auth.Tokens{}))
		signIn("that network again", false, from("198.51.100.1", auth.Tokens{}))
		signIn("a known device in another network", false, from("198.51.100.2", first))
		other := from("2001:db8::1", auth.Tokens{})
		other.UserAgent = "other/1"
		signIn("another client in a known network", true, other)
		h.clock.advance(45 * 24 * time.Hour)
		if _, err := h.store.Prune(t.Context(), h.clock.Now().Add(-24*time.Hour), 1000); err != nil {
			t.Fatal(err)
		}
		signIn("a known device, after all sessions are forgotten", false, from("2001:db8::1", first))
		h.clock.advance(45 * 24 * time.Hour)
		if _, err := h.store.Prune(t.Context(), h.clock.Now().Add(-24*time.Hour), 1000); err != nil {
			t.Fatal(err)
		}
		signIn("nothing to go by, after all sessions are forgotten", true, from("2001:db8::1", auth.Tokens{}))
	})
}
