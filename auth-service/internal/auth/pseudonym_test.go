package auth_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
)

func TestService_S_A1_orders_to_pseudonymise_bear_its_seal(t *testing.T) {
	h := onSQLite(t)
	ada := h.newUser("ada@example.com")
	if err := h.DeleteAccount(t.Context(), h.with(ada), goodPassword); err != nil {
		t.Fatal(err)
	}
	found, err := h.store.Store.(trail.Store).Erasures(t.Context(), auth.Erasure{}, 9)
	if err != nil || len(found) != 1 || !h.Ordered(found[0]) {
		t.Fatalf("orders %+v, %v", found, err)
	}
	for what, change := range map[string]func(*auth.Erasure){
		"another account":   func(e *auth.Erasure) { e.UserID = "mallory" },
		"another pseudonym": func(e *auth.Erasure) { e.Pseudonym += "x" },
		"another time":      func(e *auth.Erasure) { e.At = e.At.Add(-48 * time.Hour) },
		"no seal":           func(e *auth.Erasure) { e.Seal = nil },
	} {
		forged := found[0]
		if change(&forged); h.Ordered(forged) {
			t.Errorf("%s is an order of the service", what)
		}
	}
	for what, c := range map[string]struct {
		change func(*auth.Config)
		want   bool
	}{
		"a replaced secret": {func(c *auth.Config) {
			c.RefreshKey, c.EarlierRefreshKeys = []byte(strings.Repeat("n", 32)), [][]byte{c.RefreshKey}
		}, true},
		"an unknown secret": {func(c *auth.Config) { c.RefreshKey = []byte(strings.Repeat("n", 32)) }, false},
	} {
		if got := onSQLite(t, c.change).Ordered(found[0]); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
