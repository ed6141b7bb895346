package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

const (
	accountPassword = "a rather long passphrase 77"
	nextPassword    = "the next long passphrase 78"
	// accountPatience is how long what was interrupted may take to be complete.
	accountPatience = 30 * time.Second
	// lostAnswer is how long a caller waits for an answer that a killed process
	// will not give.
	lostAnswer = 10 * time.Second
)

// account is one of which every table has something, and that is deleted.
type account struct {
	*world
	email, password, id, access string
	root                        string // an access token of the administrator
}

// newAccount makes one with an earlier password, an authenticator app, recovery
// codes, a session, a sign-in that waits for its code, and a link in a letter.
func newAccount(w *world) *account {
	w.Helper()
	a := &account{world: w, email: fmt.Sprintf("leaver-%d@example.com", time.Now().UnixNano()), password: accountPassword}
	a.root = a.signIn(cluster.AdminEmail, cluster.AdminPassword)
	a.must2(a.call("POST", "/auth/register", "", map[string]string{"email": a.email, "password": a.password, "first_name": "Ada"}, http.StatusAccepted))
	a.access = a.signIn(a.email, a.password)
	changed := a.must2(a.call("PUT", "/auth/password", a.access, map[string]string{"current_password": a.password, "new_password": nextPassword}, http.StatusOK))
	a.password, a.access = nextPassword, changed.text("access_token")
	started := a.must2(a.call("POST", "/auth/mfa/totp", a.access, nil, http.StatusOK))
	code, err := totp.GenerateCode(started.text("secret"), time.Now())
	w.must(err)
	a.must2(a.call("POST", "/auth/mfa/totp/confirm", a.access, map[string]string{"code": code}, http.StatusOK))
	a.must2(a.call("POST", "/auth/login", "", a.credentials(), http.StatusForbidden))
	a.must2(a.call("POST", "/auth/password/forgot", "", map[string]string{"email": a.email}, http.StatusAccepted))
	a.id = a.must2(a.call("GET", "/auth/me", a.access, nil, http.StatusOK)).text("id")
	a.soon("the user-service knows the account", func() error {
		_, err := a.call("GET", "/users/me", a.access, nil, http.StatusOK)
		return err
	})
	return a
}

func (a *account) credentials() map[string]string {
	return map[string]string{"email": a.email, "password": a.password}
}

func (a *account) signIn(email, password string) (access string) {
	a.Helper()
	return a.must2(a.call("POST", "/auth/login", "", map[string]string{"email": email, "password": password}, http.StatusOK)).text("access_token")
}

// reply is what came back.
type reply struct {
	status int
	body   []byte
}

func (r reply) text(name string) string {
	var members map[string]any
	if json.Unmarshal(r.body, &members) != nil {
		return ""
	}
	text, _ := members[name].(string)
	return text
}

// call makes a call and wants one of some answers; 0 stands for none.
func (a *account) call(method, path, token string, body any, want ...int) (reply, error) {
	ctx, cancel := context.WithTimeout(a.ctx, lostAnswer)
	defer cancel()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return reply{}, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.URLs[0]+path, bytes.NewReader(sent))
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	var r reply
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer response.Body.Close() //nolint:errcheck // only read from
		r.body, err = io.ReadAll(response.Body)
		if r.status = response.StatusCode; err != nil {
			r.status = 0 // an answer that was cut off is none
		}
	}
	if !slices.Contains(want, r.status) {
		return r, errors.Join(fmt.Errorf("%s %s: %d %.200s, want %d", method, path, r.status, r.body, want), err)
	}
	return r, nil
}

// must2 ends the test on an error.
func (a *account) must2(r reply, err error) reply {
	a.Helper()
	a.must(err)
	return r
}

// soon waits until a check finds nothing wrong.
func (a *account) soon(what string, check func() error) {
	a.Helper()
	deadline := time.Now().Add(accountPatience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			a.Fatalf("not within %v: %s: %v", accountPatience, what, err)
		}
		a.wait(100 * time.Millisecond)
	}
}

// remove asks for the deletion, and takes some answers.
func (a *account) remove(want ...int) {
	a.Helper()
	a.must2(a.call("DELETE", "/auth/me", a.access, map[string]string{"password": a.password}, want...))
}

// there checks that nothing of the account is missing.
func (a *account) there() {
	a.Helper()
	a.soon("the account is there", func() error {
		_, err := a.call("POST", "/auth/login", "", a.credentials(), http.StatusForbidden) // its second factor is asked for
		if err == nil {
			_, err = a.call("GET", "/users/me", a.access, nil, http.StatusOK)
		}
		return err
	})
	if left := a.left(); slices.Contains(left, 0) {
		a.Errorf("of %q the rows are %d: there must be some of each", accountTables, left)
	}
}

// accountTables are where the auth-service keeps something of an account, and
// by which query it is counted.
var accountTables = []string{
	"users WHERE id = $1", "sessions WHERE user_id = $1", "mail_tokens WHERE user_id = $1", "past_passwords WHERE user_id = $1",
	"totp_factors WHERE user_id = $1", "recovery_codes WHERE user_id = $1", "challenges WHERE user_id = $1",
	"audit WHERE actor_id = $1 OR target_id = $1",
}

// left counts what the auth-service has of the account.
func (a *account) left() (rows []int) {
	a.Helper()
	for _, table := range accountTables {
		n, err := a.Count(a.ctx, "SELECT count(*) FROM "+table, a.id)
		a.must(err)
		rows = append(rows, n)
	}
	return rows
}
