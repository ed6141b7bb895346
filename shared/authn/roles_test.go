package authn_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// roleServer tells what it is given.
type roleServer struct {
	mu     sync.Mutex
	status int
	body   string
	asked  int
}

func (s *roleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if r.URL.Path != contract.RolesPath {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.WriteHeader(s.status)
	_, _ = w.Write([]byte(s.body))
}

// tell has the server answer so, and returns how often it was asked before.
func (s *roleServer) tell(status int, body string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
	return s.asked
}

func (s *roleServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func tableText(t *testing.T, version int64, roles map[string][]string) string {
	t.Helper()
	text, err := json.Marshal(contract.RoleTable{Version: version, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// follow runs RemoteRoles on the servers until the test ends.
func follow(t *testing.T, now func() time.Time, urls ...string) *authn.RemoteRoles {
	t.Helper()
	r := authn.NewRemoteRoles(urls, now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-tick.C:
		}
	}
}

func permits(r *authn.RemoteRoles, role string, permissions ...string) bool {
	ok, err := r.Permit([]string{"user", role}, permissions)
	return ok && err == nil
}

func TestRemoteRoles_follow_the_table(t *testing.T) {
	var s roleServer
	s.tell(200, tableText(t, 5, map[string][]string{"clerk": {"orders:read", "orders:write"}, "user": {"profile:read"}}))
	server := httptest.NewServer(&s)
	defer server.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	r := follow(t, time.Now, away.URL, server.URL+"/")
	eventually(t, "the table is known", func() bool { return permits(r, "clerk", "orders:read") })
	if !permits(r, "clerk", "orders:write", "profile:read") || permits(r, "clerk", "orders:read", "orders:refund") || permits(r, "boss", "orders:read") {
		t.Error("the roles together give all the permissions, or it is no")
	}
	s.tell(200, tableText(t, 6, map[string][]string{"clerk": {}}))
	r.Stale()
	eventually(t, "a changed table is taken", func() bool { return !permits(r, "clerk", "orders:read") })
	for name, body := range map[string]string{
		"an older table": tableText(t, 5, map[string][]string{"clerk": {"orders:read"}}),
		"no JSON":        "<html>", "an empty answer": "", "no table": "{}",
		"a wildcard": tableText(t, 9, map[string][]string{"clerk": {"*"}}), "too much": strings.Repeat(" ", 5<<20),
	} {
		before := s.tell(200, body)
		r.Stale()
		eventually(t, "it is asked for", func() bool { return s.count() > before })
		r.Stale()
		eventually(t, "it is asked for again", func() bool { return s.count() > before+1 })
		if permits(r, "clerk", "orders:read") {
			t.Errorf("%s takes the place of a good one", name)
		}
		if known, ok := r.Table(); !ok || known.Version != 6 {
			t.Errorf("%s: version %d", name, known.Version)
		}
	}
}

func TestRemoteRoles_who_does_not_know_says_so(t *testing.T) {
	var s roleServer
	s.tell(503, "")
	server := httptest.NewServer(&s)
	defer server.Close()
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	r := follow(t, clock, server.URL)
	if _, err := r.Permit([]string{"clerk"}, []string{"a:b"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before the first table: %v", err)
	}
	s.tell(200, tableText(t, 1, map[string][]string{"clerk": {"a:b"}}))
	r.Stale()
	eventually(t, "the table is known", func() bool { return permits(r, "clerk", "a:b") })
	server.Close()
	mu.Lock()
	now = now.Add(23 * time.Hour)
	mu.Unlock()
	if !permits(r, "clerk", "a:b") {
		t.Error("a table that cannot be renewed serves for a day")
	}
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	if _, err := r.Permit([]string{"clerk"}, []string{"a:b"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after a day: %v", err)
	}
}

// fixedRoles answers every question the same.
type fixedRoles struct {
	ok  bool
	err error
}

func (f fixedRoles) Permit(_, _ []string) (bool, error) { return f.ok, f.err }

func TestAuthenticator_RequirePermission(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	good := "Bearer " + issuer.Token(tokentest.Claims(time.Now()))
	for _, c := range []struct {
		name   string
		roles  authn.Roles
		header string
		status int
	}{
		{"permitted", fixedRoles{ok: true}, good, 200},
		{"not permitted", fixedRoles{}, good, 403},
		{"unknown", fixedRoles{err: fault.New(fault.Unavailable, "")}, good, 503},
		{"no table to ask", nil, good, 403},
		{"nobody", fixedRoles{ok: true}, "", 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := new(service)
			a := &authn.Authenticator{Tokens: issuer.Verifier(t, time.Now), Roles: c.roles}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			w := httptest.NewRecorder()
			a.RequirePermission("orders:read", s).ServeHTTP(w, r)
			if w.Code != c.status || s.called != (c.status == 200) {
				t.Errorf("status %d, want %d; called: %v", w.Code, c.status, s.called)
			}
		})
	}
}
