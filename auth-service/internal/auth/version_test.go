package auth_test

import (
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
)

// numbered has the database settled: an epoch is open for this incarnation.
func (h *harness) numbered() {
	h.sql(`UPDATE revocation_state SET epoch = epoch + $1, incarnation = 'open'`, contract.EpochSpan)
}

// restarted has it be another incarnation, which has no epoch yet.
func (h *harness) restarted() { h.sql(`UPDATE revocation_state SET incarnation = ''`) }

func (h *harness) sql(statement string, args ...any) {
	h.t.Helper()
	if _, err := h.db.ExecContext(h.t.Context(), statement, args...); err != nil {
		h.t.Fatal(err)
	}
}

func TestVersion_F24_I1_whatKillsTokensKillsThoseOfALostHistory(t *testing.T) {
	for name, kill := range map[string]func(h *harness, admin, ada auth.Tokens) error{
		"logout everywhere": func(h *harness, _, ada auth.Tokens) error { return h.LogoutAll(t.Context(), h.with(ada)) },
		"lock": func(h *harness, admin, ada auth.Tokens) error {
			return h.LockUser(t.Context(), h.with(admin), ada.Account.ID)
		},
		"roles": func(h *harness, admin, ada auth.Tokens) error {
			_, err := h.SetRoles(t.Context(), h.with(admin), ada.Account.ID, []string{"auditor"})
			return err
		},
	} {
		for _, opened := range []bool{false, true} { // the sequencer has opened an epoch since, or not yet
			t.Run(name, func(t *testing.T) {
				h := onSQLite(t)
				h.numbered()
				admin, kept := h.newAdmin("root@example.com"), h.newUser("ada@example.com")
				lostSession := h.login("ada@example.com")
				if _, err := h.SetRoles(t.Context(), h.with(admin), kept.Account.ID, []string{"editor"}); err != nil {
					t.Fatal(err)
				}
				lost := h.mustRefresh(lostSession.RefreshToken)

				// The database goes back to before the roles were changed.
				h.sql(`UPDATE users SET version = 1, roles = 'user' WHERE email = 'ada@example.com'`)
				h.sql(`DELETE FROM revocations`)
				h.restarted()
				if opened {
					h.numbered()
				}
				fresh := h.mustRefresh(kept.RefreshToken)
				if h.with(fresh).Claims.Version <= h.with(lost).Claims.Version {
					t.Error("I6 gateways that know the lost change refuse a fresh token")
				}
				if err := kill(h, admin, fresh); err != nil {
					t.Fatal(err)
				}
				for what, token := range map[string]auth.Tokens{"kept": kept, "fresh": fresh, "lost": lost} {
					if h.gateway.verdict(t, h.with(token).Claims) == "" {
						t.Errorf("the %s token is still good", what)
					}
				}
			})
		}
	}
}

func TestVersion_I6_aRestartOfTheDatabaseLeavesTokensGood(t *testing.T) {
	h := onSQLite(t)
	h.numbered()
	before := h.newUser("ada@example.com")
	h.restarted()
	h.alive("a token of before", before)
	between := h.mustRefresh(before.RefreshToken)
	h.numbered()
	h.alive("a token of before, in a new epoch", before)
	h.alive("a token of the meantime", between)
	h.alive("a refreshed token", h.mustRefresh(between.RefreshToken))
}

func TestLogout_F24_I1_endsASessionThatTheDatabaseHasLost(t *testing.T) {
	for name, end := range map[string]func(h *harness, lost auth.Tokens) error{
		"by its access token": func(h *harness, lost auth.Tokens) error { return h.LogoutLost(t.Context(), h.with(lost)) },
		"by its refresh token": func(h *harness, lost auth.Tokens) error {
			return h.LogoutByRefreshToken(t.Context(), stranger(), lost.RefreshToken)
		},
		"by RFC 7009": func(h *harness, lost auth.Tokens) error {
			return h.Revoke(t.Context(), stranger(), auth.Client{ID: contract.ClientPeople}, lost.RefreshToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := onSQLite(t)
			kept, lost := h.newUser("ada@example.com"), h.login("ada@example.com")
			h.sql(`DELETE FROM sessions WHERE id = $1`, lost.SessionID)
			for range 2 {
				if err := end(h, lost); err != nil {
					t.Fatal(err)
				}
			}
			if h.gateway.verdict(t, h.with(lost).Claims) == "" {
				t.Error("gateways accept the token of the lost session")
			}
			if n := h.revocations(); n != 1 || len(h.gateway.waits) != 2 {
				t.Errorf("%d revocations and %d waits for the gateways, want 1 and 2", n, len(h.gateway.waits))
			}
			if err := h.LogoutLost(t.Context(), h.with(kept)); err != nil {
				t.Fatal(err)
			}
			h.alive("a session that is known", kept)
		})
	}
}
