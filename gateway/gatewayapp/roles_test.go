package gatewayapp

import (
	"net/http"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token/tokentest"
)

// setRoles has the auth-service tell another role table, and announce it.
func (w *world) setRoles(version int64, roles map[string][]string) {
	w.t.Helper()
	w.mu.Lock()
	w.roles = contract.RoleTable{Version: version, Roles: roles}
	w.mu.Unlock()
	if err := w.bus.Publish(w.bus.Subjects().RolesChanged(), nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestGateway_S_P9_permissions_are_those_that_roles_give_now(t *testing.T) {
	w := newWorld(t, nil)
	claims := tokentest.Claims(time.Now())
	claims.Roles = []string{"user", "clerk"}
	clerk := w.issuer.Token(claims)
	status := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.base+"/api/permitted/7", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
			t.Error("S-B7: 503 without Retry-After")
		}
		return res.StatusCode
	}
	if got := status(clerk); got != http.StatusServiceUnavailable {
		t.Errorf("S-B7: while nobody knows what roles permit: %d, want 503", got)
	}
	w.setRoles(1, map[string][]string{"user": {"orders:read"}, "clerk": {"orders:write"}})
	w.until("the roles together give what is asked for", func() bool { return status(clerk) == http.StatusOK })
	claims.Roles = []string{"user"}
	if got := status(w.issuer.Token(claims)); got != http.StatusForbidden {
		t.Errorf("one role alone: %d, want 403", got)
	}
	w.setRoles(2, map[string][]string{"user": {"orders:read"}, "clerk": {}})
	w.until("a role that has lost a permission loses it with tokens that are out", func() bool { return status(clerk) == http.StatusForbidden })
}
