package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

type session struct {
	ID         string
	Current    bool
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	IP         string
	UserAgent  string `json:"user_agent"`
}

type page[T any] struct {
	Items      []T
	NextCursor *string `json:"next_cursor"`
}

func TestAPI_sign_in(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	a := w.call("POST", "/auth/login", fields{"email": ada, "password": password}).want(200)
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("S-P18 Cache-Control %q", got)
	}
	got := decoded[tokens](a)
	if got.TokenType != "Bearer" || got.ExpiresIn != 900 || got.RefreshExpiresIn != 7*24*3600 || got.SessionID == "" ||
		got.User.Email != ada || !got.User.EmailVerified || !slices.Equal(got.User.Roles, []string{"user"}) {
		t.Errorf("token answer %s", a.body)
	}
	me := decoded[map[string]any](w.call("GET", "/auth/me", nil, bearer(got.AccessToken)).want(200))
	for _, name := range []string{"id", "email", "email_verified", "roles", "mfa_enabled", "created_at"} {
		if _, ok := me[name]; !ok {
			t.Errorf("/auth/me has no %s", name)
		}
	}
	if created, _ := me["created_at"].(string); !strings.HasSuffix(created, "Z") {
		t.Errorf("created_at %q is not UTC", created)
	}
}

func TestAPI_S_R1_refresh(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	first := w.login(ada, password)
	second := decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": first.RefreshToken}).want(200))
	again := decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": first.RefreshToken}).want(200))
	if again.RefreshToken != second.RefreshToken {
		t.Error("S-R2 a retry got another successor")
	}
	third := decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": second.RefreshToken}).want(200))
	w.call("POST", "/auth/refresh", fields{"refresh_token": first.RefreshToken}).wantProblem(401, "invalid_refresh_token")
	w.call("GET", "/auth/me", nil, bearer(third.AccessToken)).wantProblem(401, "token_revoked")
	w.call("POST", "/auth/refresh", fields{"refresh_token": third.RefreshToken}).wantProblem(401, "invalid_refresh_token")

	for _, body := range []any{nil, fields{}, fields{"refresh_token": ""}} {
		w.call("POST", "/auth/refresh", body).wantProblem(401, "invalid_refresh_token")
	}
}

func TestAPI_S_R5_logout(t *testing.T) {
	w := newWorld(t)
	w.register(ada)

	t.Run("by access token, again and again", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		if a := w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)).want(204); len(a.body) != 0 {
			t.Errorf("204 with a body %q", a.body)
		}
		w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}).wantProblem(401, "invalid_refresh_token")
	})
	t.Run("by refresh token, again and again", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.call("POST", "/auth/logout", fields{"refresh_token": s.RefreshToken}).want(204)
		w.call("POST", "/auth/logout", fields{"refresh_token": s.RefreshToken}).want(204)
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		w.call("POST", "/auth/logout", fields{"refresh_token": "never made"}).wantProblem(401, "invalid_refresh_token")
	})
	t.Run("with neither", func(t *testing.T) {
		w := w.in(t)
		w.call("POST", "/auth/logout", nil).wantProblem(401, "token_missing")
		w.call("POST", "/auth/logout", fields{}).wantProblem(401, "token_missing")
	})
	t.Run("by an expired access token a refresh token stands in", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.clock.advance(time.Hour)
		w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)).wantProblem(401, "token_expired")
		w.call("POST", "/auth/logout", fields{"refresh_token": s.RefreshToken}, bearer(s.AccessToken)).want(204)
		w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}).wantProblem(401, "invalid_refresh_token")
	})
	t.Run("by a token that is no token, nothing stands in", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.call("POST", "/auth/logout", fields{"refresh_token": s.RefreshToken}, bearer("x.y.z")).wantProblem(401, "token_invalid")
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).want(200)
	})
	t.Run("by a token that is out of date", func(t *testing.T) {
		w := w.in(t)
		s, admin := w.login(ada, password), w.admin()
		w.call("PUT", "/admin/users/"+s.User.ID+"/roles", fields{"roles": []string{"user", "editor"}}, bearer(admin.AccessToken)).want(200)
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_stale")
		w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)).want(204)
		w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}).wantProblem(401, "invalid_refresh_token")
	})
	t.Run("everywhere", func(t *testing.T) {
		w := w.in(t)
		one, two := w.login(ada, password), w.login(ada, password)
		w.call("POST", "/auth/logout/all", nil, bearer(one.AccessToken)).want(204)
		for _, s := range []tokens{one, two} {
			w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		}
	})
}

func TestAPI_sessions(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	agent := func(r *http.Request) { r.Header.Set("User-Agent", "Agent\xff "+strings.Repeat("é", 600)) }
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}, agent, header("X-Forwarded-For", "6.6.6.6, 203.0.113.9")).want(200)
	w.clock.advance(time.Second)
	here := w.login(ada, password)
	list := decoded[page[session]](w.call("GET", "/auth/sessions", nil, bearer(here.AccessToken)).want(200))
	if len(list.Items) != 2 || list.NextCursor != nil || !list.Items[0].Current || list.Items[1].Current {
		t.Fatalf("sessions %+v", list)
	}
	other := list.Items[1]
	if other.IP != "203.0.113.9" {
		t.Errorf("S-P17 the address is %q and not the one the trusted hop tells", other.IP)
	}
	if n := len(other.UserAgent); n < 128 || n > 512 || strings.Contains(other.UserAgent, "\ufffd") {
		t.Errorf("the user agent has %d bytes: %q", n, other.UserAgent)
	}
	first := decoded[page[session]](w.call("GET", "/auth/sessions?limit=1", nil, bearer(here.AccessToken)).want(200))
	if first.NextCursor == nil {
		t.Fatal("no cursor for the second page")
	}
	second := decoded[page[session]](w.call("GET", "/auth/sessions?limit=1&cursor="+*first.NextCursor, nil, bearer(here.AccessToken)).want(200))
	if len(second.Items) != 1 || second.Items[0].ID != other.ID || second.NextCursor != nil {
		t.Errorf("second page %+v", second)
	}

	foreign := w.admin()
	w.call("DELETE", "/auth/sessions/"+other.ID, nil, bearer(foreign.AccessToken)).wantProblem(404, "not_found")
	w.call("DELETE", "/auth/sessions/"+other.ID, nil, bearer(here.AccessToken)).want(204)
	w.call("DELETE", "/auth/sessions/"+other.ID, nil, bearer(here.AccessToken)).wantProblem(404, "not_found")
}

func TestAPI_S_R6_passwords(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	old := w.login(ada, password)
	change := func(current, next string) answer {
		return w.call("PUT", "/auth/password", fields{"current_password": current, "new_password": next}, bearer(old.AccessToken))
	}
	change("wrong wrong wrong 1", nextPassword).wantProblem(401, "invalid_credentials")
	change(password, "short").wantProblem(422, "weak_password")
	change(password, password).wantProblem(422, "password_reused")
	fresh := decoded[tokens](change(password, nextPassword).want(200))
	w.call("GET", "/auth/me", nil, bearer(old.AccessToken)).wantProblem(401, "token_revoked")
	w.call("GET", "/auth/me", nil, bearer(fresh.AccessToken)).want(200)
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(401, "invalid_credentials")

	w.call("POST", "/auth/password/forgot", fields{"email": ada}).want(202)
	reset := w.mailToken(ada, auth.MailResetPassword)
	w.call("POST", "/auth/password/reset", fields{"token": reset, "new_password": "short"}).wantProblem(422, "weak_password")
	w.call("POST", "/auth/password/reset", fields{"token": reset, "new_password": "a third sentence of 1842"}).want(204)
	w.call("POST", "/auth/password/reset", fields{"token": reset, "new_password": "a fourth sentence of 1843"}).wantProblem(422, "validation_failed")
	w.call("GET", "/auth/me", nil, bearer(fresh.AccessToken)).wantProblem(401, "token_revoked")
	w.login(ada, "a third sentence of 1842")
}

func TestAPI_email_and_deletion(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/auth/register", fields{"email": ada, "password": password}).want(202)
	s := w.login(ada, password)
	w.clock.advance(time.Second) // letters are found by their order
	w.call("POST", "/auth/email/resend", nil, bearer(s.AccessToken)).want(202)
	w.call("POST", "/auth/email/verify", fields{"token": w.mailToken(ada, auth.MailVerifyEmail)}).want(204)

	s = w.login(ada, password)
	const moved = "countess@example.com"
	w.call("PUT", "/auth/email", fields{"new_email": moved, "current_password": "wrong wrong wrong 1"}, bearer(s.AccessToken)).
		wantProblem(401, "invalid_credentials")
	w.call("PUT", "/auth/email", fields{"new_email": moved, "current_password": password}, bearer(s.AccessToken)).want(202)
	w.login(ada, password)
	w.call("POST", "/auth/email/verify", fields{"token": w.mailToken(moved, auth.MailChangeEmail)}).want(204)
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(401, "invalid_credentials")
	s = w.login(moved, password)

	w.call("DELETE", "/auth/me", fields{"password": "wrong wrong wrong 1"}, bearer(s.AccessToken)).wantProblem(401, "invalid_credentials")
	w.call("DELETE", "/auth/me", fields{"password": password}, bearer(s.AccessToken)).want(202)
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
	w.call("POST", "/auth/login", fields{"email": moved, "password": password}).wantProblem(401, "invalid_credentials")
}

// same fails the test if two answers can be told apart.
func same(t *testing.T, what string, a, b answer) {
	t.Helper()
	if a.status != b.status || withoutID(a.body) != withoutID(b.body) {
		t.Errorf("%s: %d %s against %d %s", what, a.status, a.body, b.status, b.body)
	}
	for _, h := range []http.Header{a.header, b.header} {
		h.Del("X-Request-Id")
		h.Del("Date")
	}
	for name := range a.header {
		if !slices.Equal(a.header.Values(name), b.header.Values(name)) {
			t.Errorf("%s: %s is %q against %q", what, name, a.header.Values(name), b.header.Values(name))
		}
	}
	if len(a.header) != len(b.header) {
		t.Errorf("%s: headers %v against %v", what, a.header, b.header)
	}
}

func TestAPI_S_W6_nothing_tells_whether_an_account_exists(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	const nobody = "nobody@example.com"
	login := func(email string) answer {
		return w.call("POST", "/auth/login", fields{"email": email, "password": "wrong wrong wrong 1"})
	}
	forgot := func(email string) answer { return w.call("POST", "/auth/password/forgot", fields{"email": email}) }
	register := func(email string) answer {
		return w.call("POST", "/auth/register", fields{"email": email, "password": nextPassword})
	}
	same(t, "login", login(ada), login(nobody))
	same(t, "forgotten password", forgot(ada).want(202), forgot(nobody).want(202))
	same(t, "registration", register(ada).want(202), register(nobody).want(202))

	s, admin := w.login(ada, password), w.admin()
	w.call("POST", "/admin/users/"+s.User.ID+"/lock", fields{}, bearer(admin.AccessToken)).want(204)
	same(t, "login to a locked account with a wrong password", login(ada), login(nobody))
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(403, "account_locked")
}

func TestAPI_a_failing_database_says_nothing_about_the_caller(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	for _, c := range []func() answer{
		func() answer { return w.call("GET", "/auth/me", nil, bearer(s.AccessToken)) },
		func() answer { return w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)) },
		func() answer { return w.call("POST", "/auth/login", fields{"email": ada, "password": password}) },
		func() answer { return w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}) },
		func() answer { return w.call("POST", "/auth/password/forgot", fields{"email": ada}) },
	} {
		a := w.inTrouble(unavailable(), c).wantProblem(503, "service_unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("S-V3 503 without Retry-After")
		}
	}
	a := w.inTrouble(errTrouble, func() answer {
		return w.call("POST", "/auth/login", fields{"email": ada, "password": password})
	}).wantProblem(500, "internal_error")
	if strings.Contains(string(a.body), errTrouble.Error()) {
		t.Error("S-B6 the cause is shown to the caller")
	}
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).want(200)
}
