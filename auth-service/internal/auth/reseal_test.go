package auth_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func factorKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// withFactorKeys has the keys of second factors, the newest first.
func withFactorKeys(keys ...[]byte) func(*auth.Config) {
	return func(c *auth.Config) { c.FactorKeys = keys }
}

func TestResealFactors_nothingHangsOnTheOldKeyThen(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		one, two := factorKey(1), factorKey(2)
		before := newHarness(t, url, withFactorKeys(one))
		a, _ := before.enrol(before.newUser("ada@example.com"))
		b, _ := before.enrol(before.newUser("bob@example.com"))
		resealed := func(what string, h *harness, want auth.Resealed) {
			t.Helper()
			got, err := h.ResealFactors(t.Context())
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
			}
		}
		resealed("with no other key", before, auth.Resealed{Secrets: 2})
		h := newHarness(t, url, withFactorKeys(two, one))
		resealed("with another key", h, auth.Resealed{Secrets: 2, Anew: 2})
		resealed("again", h, auth.Resealed{Secrets: 2})
		h.clock.advance(before.clock.Now().Sub(h.clock.Now()))
		a.h, b.h = h, h
		h.mustSecondStep("ada@example.com", a.next())

		after := newHarness(t, url, withFactorKeys(two)) // the old key is gone
		after.clock.advance(h.clock.Now().Sub(after.clock.Now()))
		a.h, b.h = after, after
		after.mustSecondStep("ada@example.com", a.next())
		after.mustSecondStep("bob@example.com", b.next())
		resealed("with a key that opens nothing", newHarness(t, url, withFactorKeys(factorKey(3))), auth.Resealed{Secrets: 2, Lost: 2})
		after.mustSecondStep("bob@example.com", b.next()) // which has changed nothing
	})
}

func TestKeepSealed_runsAtOnceWhereAnotherKeyIsKnown(t *testing.T) {
	url := testenv.SQLite(t)
	before := newHarness(t, url, withFactorKeys(factorKey(1)))
	before.enrol(before.newUser("ada@example.com"))
	h := newHarness(t, url, withFactorKeys(factorKey(2), factorKey(1)))
	after := newHarness(t, url, withFactorKeys(factorKey(2)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 2)
	for _, s := range []*harness{h, after} {
		go func() { ended <- s.KeepSealed(ctx) }()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		got, err := after.ResealFactors(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("not sealed anew in time: %+v, %v", got, err)
		}
		if got.Lost == 0 {
			break
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended before it was told to (%v), which stops the service", err)
	default:
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestLogin_SW5_devicesStayKnownWhenTheKeyIsReplaced(t *testing.T) {
	url := testenv.SQLite(t)
	refreshKeys := func(keys ...string) func(*auth.Config) {
		return func(c *auth.Config) {
			limited(c)
			c.RefreshKey, c.EarlierRefreshKeys = []byte(strings.Repeat(keys[0], 32)), nil
			for _, k := range keys[1:] {
				c.EarlierRefreshKeys = append(c.EarlierRefreshKeys, []byte(strings.Repeat(k, 32)))
			}
		}
	}
	known := func(h *harness, email, device string) bool {
		t.Helper()
		before := h.tries.counted()[auth.BoundDevice]
		c := stranger()
		c.Device = device
		wantKind(t, "a guess", h.tryLogin(c, email, wrong), fault.InvalidCredentials)
		return h.tries.counted()[auth.BoundDevice] > before
	}
	before := newHarness(t, url, refreshKeys("a"))
	before.register("bob@example.com")
	device := before.newUser("ada@example.com").DeviceToken

	h := newHarness(t, url, refreshKeys("b", "a"))
	if !known(h, "ada@example.com", device) || known(h, "bob@example.com", device) {
		t.Error("after the replacement the device is not known as the one of the account that signed in on it, and no other's")
	}
	c := stranger()
	c.Device = device
	h.clock.advance(time.Hour)
	second, err := h.Login(t.Context(), c, "bob@example.com", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !known(h, "ada@example.com", second.DeviceToken) || !known(h, "bob@example.com", second.DeviceToken) {
		t.Error("a sign-in to another account has the device forget the first")
	}
	c.Device = second.DeviceToken
	third, err := h.Login(t.Context(), c, "ada@example.com", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	after := newHarness(t, url, refreshKeys("b"))
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		if !known(after, email, third.DeviceToken) {
			t.Errorf("once the old key is gone, a device on which %s signed in since is not known", email)
		}
	}
	if known(after, "ada@example.com", device) {
		t.Error("a token of a key that is gone is believed")
	}
}

// An administrator has lost the only second factor, and nobody else can reset it.
func TestOperator_resetsTheFactorsOfTheLastAdministrator(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url, func(c *auth.Config) { c.MFARoles = []string{contract.RoleAdmin} })
		root := h.newAdmin("root@example.com")
		h.enrol(root)
		operator, err := auth.NewOperator(h.store, h.config, h.clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"ROOT@example.com", root.Account.ID} {
			id, had, err := operator.ResetFactors(t.Context(), name)
			if err != nil || id != root.Account.ID || had != (i == 0) {
				t.Errorf("%s: user %s, had a factor %v, %v", name, id, had, err)
			}
		}
		h.dead("a session from before", root)
		root = h.login("root@example.com")
		if c := h.with(root).Claims; c.HasRole(contract.RoleAdmin) {
			t.Errorf("without a factor the roles are %v", c.Roles)
		}
		h.enrol(root)
		if _, c := h.refreshed(root); !c.HasRole(contract.RoleAdmin) {
			t.Errorf("with a new factor the roles are %v", c.Roles)
		}
		if n := len(h.letters("root@example.com", auth.MailFactorsReset)); n != 1 {
			t.Errorf("%d letters tell of it, want 1", n)
		}
		if n := h.written("mfa_reset success " + auth.ReasonOperator); n != 1 {
			t.Errorf("%d events tell of it, want 1", n)
		}
		for _, nobody := range []string{"nobody@example.com", "nobody", "", "@"} {
			_, _, err := operator.ResetFactors(t.Context(), nobody)
			wantKind(t, "a user that there is not", err, fault.NotFound)
		}
	})
}

func TestOperator_countsRefreshTokensOfAnEarlierKey(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		operator, err := auth.NewOperator(h.store, h.config, h.clock.Now)
		if err != nil {
			t.Fatal(err)
		}
		ended, idle, used := h.newUser("ada@example.com"), h.login("ada@example.com"), h.login("ada@example.com")
		if err := h.Logout(t.Context(), h.with(ended)); err != nil {
			t.Fatal(err)
		}
		exchanged := h.clock.Now()
		older := func(want int, wantUntil time.Time) {
			t.Helper()
			n, until, err := operator.OlderTokens(t.Context(), exchanged)
			if err != nil || n != want || !until.Equal(wantUntil) {
				t.Errorf("%d sessions until %v (%v), want %d until %v", n, until, err, want, wantUntil)
			}
		}
		h.clock.advance(2 * time.Hour)
		older(2, h.session(used.SessionID).IdleExpiresAt)
		h.mustRefresh(used.RefreshToken)
		older(1, h.session(idle.SessionID).IdleExpiresAt)
		h.clock.advance(7*24*time.Hour - 2*time.Hour)
		older(0, time.Time{})
	})
}
