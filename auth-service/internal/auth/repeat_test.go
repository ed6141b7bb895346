package auth_test

import (
	"slices"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// revocations counts the rows of the log.
func (h *harness) revocations() (n int) {
	h.t.Helper()
	if err := h.db.GetContext(h.t.Context(), &n, `SELECT COUNT(*) FROM revocations`); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestRevokingCalls_F26_whoRepeatsOneWaitsForTheGatewaysAsTheFirstDid(t *testing.T) {
	type parties struct {
		admin, caller auth.Caller
		ada, other    auth.Tokens // of one user
	}
	for name, c := range map[string]struct {
		call func(h *harness, p parties) error
		// again is what the repeated call is answered with
		again fault.Kind
	}{
		"logout": {call: func(h *harness, p parties) error { return h.Logout(t.Context(), p.caller) }, again: fault.TokenRevoked},
		"logout by a refresh token": {call: func(h *harness, p parties) error {
			return h.LogoutByRefreshToken(t.Context(), stranger(), p.ada.RefreshToken)
		}},
		"logout everywhere": {call: func(h *harness, p parties) error { return h.LogoutAll(t.Context(), p.caller) }, again: fault.TokenRevoked},
		"end of another session": {call: func(h *harness, p parties) error {
			return h.EndSession(t.Context(), p.caller, p.other.SessionID)
		}, again: fault.NotFound},
		"end of any session": {call: func(h *harness, p parties) error {
			_, err := h.EndAnySession(t.Context(), p.admin, p.ada.SessionID)
			return err
		}, again: fault.NotFound},
		"lock": {call: func(h *harness, p parties) error { return h.LockUser(t.Context(), p.admin, p.ada.Account.ID) }},
		"roles": {call: func(h *harness, p parties) error {
			_, err := h.SetRoles(t.Context(), p.admin, p.ada.Account.ID, []string{"auditor"})
			return err
		}},
		"deletion": {call: func(h *harness, p parties) error { return h.DeleteUser(t.Context(), p.admin, p.ada.Account.ID) }, again: fault.NotFound},
		"own deletion": {call: func(h *harness, p parties) error {
			if err := h.Check(t.Context(), p.caller.Claims); err != nil { // as every request is checked first
				return err
			}
			return h.DeleteAccount(t.Context(), p.caller, goodPassword)
		}, again: fault.TokenRevoked},
		"RFC 7009 of an access token": {call: func(h *harness, p parties) error {
			return h.Revoke(t.Context(), stranger(), auth.Client{ID: contract.ClientPeople}, p.ada.AccessToken)
		}},
		"RFC 7009 of a refresh token": {call: func(h *harness, p parties) error {
			return h.Revoke(t.Context(), stranger(), auth.Client{ID: contract.ClientPeople}, p.ada.RefreshToken)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := onSQLite(t)
			admin, ada := h.newAdmin("root@example.com"), h.newUser("ada@example.com")
			p := parties{h.with(admin), h.with(ada), ada, h.login("ada@example.com")}
			if err := c.call(h, p); err != nil {
				t.Fatal(err)
			}
			first := h.gateway.last(t)
			h.gateway.waits = nil
			err := c.call(h, p)
			if fault.KindOf(err) != c.again {
				t.Errorf("the repeated call: %v, want %q", err, c.again)
			}
			if again := h.gateway.last(t); !slices.Contains(again, first[0]) {
				t.Errorf("the repeated call waited for %v, want %v among them", again, first)
			}
			if n := h.revocations(); n != 1 {
				t.Errorf("%d revocations, want 1", n)
			}
		})
	}
}

// last gives what was waited for last.
func (g *gateway) last(t *testing.T) []string {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waits) == 0 {
		t.Fatal("nobody waited for the gateways")
	}
	return g.waits[len(g.waits)-1]
}

func TestRevokingCalls_anExpiredRevocationIsWaitedForByNobody(t *testing.T) {
	h := onSQLite(t)
	ada := h.newUser("ada@example.com")
	for range 2 {
		h.gateway.waits = nil
		if err := h.LogoutByRefreshToken(t.Context(), stranger(), ada.RefreshToken); err != nil {
			t.Fatal(err)
		}
		h.clock.advance(time.Hour)
	}
	if len(h.gateway.waits) != 0 {
		t.Errorf("waited for %v, which no token is left for", h.gateway.waits)
	}
}
