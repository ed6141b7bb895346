package auth_test

import (
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func TestCursor_isGoodForItsOwnListAlone(t *testing.T) {
	h := onSQLite(t)
	root := h.with(h.newAdmin("root@example.com"))
	ada := h.newUser("ada@example.com")
	bob := h.newUser("bob@example.com")
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		if _, err := h.Login(t.Context(), stranger(), email, goodPassword); err != nil {
			t.Fatal(err)
		}
	}
	one := auth.PageRequest{Limit: 1}
	lists := map[string]func(auth.PageRequest) (next string, err error){
		"audit": func(p auth.PageRequest) (string, error) {
			page, err := h.AuditEvents(t.Context(), root, auth.AuditQuery{Page: p})
			return page.Next, err
		},
		"ada": func(p auth.PageRequest) (string, error) {
			page, err := h.Sessions(t.Context(), h.with(ada), false, p)
			return page.Next, err
		},
		"bob": func(p auth.PageRequest) (string, error) {
			page, err := h.UserSessions(t.Context(), root, bob.Account.ID, false, p)
			return page.Next, err
		},
	}
	for from, list := range lists {
		next, err := list(one)
		if err != nil || next == "" {
			t.Fatalf("%s: cursor %q, %v", from, next, err)
		}
		for to, other := range lists {
			_, err := other(auth.PageRequest{Limit: 1, Cursor: next})
			if from == to {
				if err != nil {
					t.Errorf("%s refuses its own cursor: %v", from, err)
				}
				continue
			}
			wantKind(t, "the cursor of "+from+" at "+to, err, fault.ValidationFailed)
		}
	}
	// Whoever lists the same sessions may go on with the cursor.
	next, err := lists["ada"](one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.UserSessions(t.Context(), root, ada.Account.ID, false, auth.PageRequest{Cursor: next}); err != nil {
		t.Errorf("the same list for an administrator: %v", err)
	}
}
