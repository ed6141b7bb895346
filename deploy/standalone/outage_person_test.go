package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// person is who makes the calls of one flow, with what was made ready for them.
type person struct {
	*fragile
	ctx    context.Context
	user   user
	in     session // signed in with the password alone
	next   session // another session of the same user
	root   session // of the administrator
	token  string  // a mailed token, or what else the call shows
	secret string  // what else was made ready
	etag   string
	app    *factor  // an authenticator app
	codes  []string // for recovery
	tries  int      // how often the call was made
}

// want makes a call to a healthy system. A machine that has too much to do is
// no reason to fail: it says so itself, and is asked again.
func (p *person) want(c call, statuses ...int) (answer, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(healedWithin)
	for {
		a, err := p.try(p.ctx, c)
		if err != nil {
			return a, fmt.Errorf("%s %s: %w", c.method, c.path, err)
		}
		if slices.Contains(statuses, a.status) {
			return a, nil
		}
		if a.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return a, fmt.Errorf("%s %s: %d %.200s, want %d", c.method, c.path, a.status, a.body, statuses)
		}
		<-ticker.C
	}
}

// until repeats a check until it is content, as long as letters and events
// need to arrive.
func (p *person) until(check func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(healedWithin)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-deadline:
			return fmt.Errorf("not within %v: %w", healedWithin, err)
		}
	}
}

// letters are the subjects and texts of the letters to an address, newest first.
func (p *person) lettersTo(address string) (subjects, texts []string) {
	for _, l := range p.around.sink.Mailbox().Letters() {
		if strings.Contains(l.To, address) {
			subjects, texts = append(subjects, l.Subject), append(texts, l.Text)
		}
	}
	return subjects, texts
}

var linkInLetter = regexp.MustCompile(`token=([A-Za-z0-9_.~%-]+)`)

// mailed waits for a letter whose subject has some words, and gives the token
// in it.
func (p *person) mailed(address, words string) (token string, err error) {
	err = p.until(func() error {
		subjects, texts := p.lettersTo(address)
		for i, subject := range subjects {
			if match := linkInLetter.FindStringSubmatch(texts[i]); match != nil && strings.Contains(subject, words) {
				token, err = url.QueryUnescape(match[1])
				return err
			}
		}
		return fmt.Errorf("no link in the letters %q to %s", subjects, address)
	})
	return token, err
}

// count counts the letters to an address whose subject has some words.
func (p *person) count(address, words string) (n int) {
	subjects, _ := p.lettersTo(address)
	for _, subject := range subjects {
		if strings.Contains(subject, words) {
			n++
		}
	}
	return n
}

// register makes the account; its address is not confirmed yet.
func (p *person) register() error {
	_, err := p.want(p.registration(), http.StatusAccepted)
	return err
}

// registered makes an account that is signed in, and whose address is not
// confirmed yet: the token is at hand.
func (p *person) registered() (err error) {
	if err = p.register(); err == nil {
		p.in, err = p.login(p.user)
	}
	if err == nil {
		p.token, err = p.mailed(p.user.email, "")
	}
	return err
}

func (p *person) registration() call {
	return call{method: "POST", path: "/auth/register", body: map[string]any{
		"email": p.user.email, "password": p.user.password, "first_name": "Ada", "last_name": "Lovelace",
	}}
}

func confirmation(token string) call {
	return call{method: "POST", path: "/auth/email/verify", body: map[string]any{"token": token}}
}

func signIn(u user) call {
	return call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}
}

// settle makes an account with a confirmed address.
func (p *person) settle() error {
	if err := p.register(); err != nil {
		return err
	}
	token, err := p.mailed(p.user.email, "")
	if err == nil {
		_, err = p.want(confirmation(token), http.StatusNoContent)
	}
	return err
}

// signedIn makes an account that is signed in.
func (p *person) signedIn() (err error) {
	if err := p.settle(); err != nil {
		return err
	}
	p.in, err = p.login(p.user)
	return err
}

func (p *person) login(u user) (session, error) {
	a, err := p.want(signIn(u), http.StatusOK)
	if err != nil {
		return session{}, err
	}
	return sessionIn(a)
}

// sessionIn reads a token answer.
func sessionIn(a answer) (session, error) {
	profile, _ := a.json["user"].(map[string]any)
	id, _ := profile["id"].(string)
	s := session{a.text("access_token"), a.text("refresh_token"), a.text("session_id"), id}
	if s.access == "" || s.refresh == "" || s.id == "" || s.userID == "" {
		return s, fmt.Errorf("not a token answer: %d %.200s", a.status, a.body)
	}
	return s, nil
}

// signedInTwice makes an account with two sessions.
func (p *person) signedInTwice() (err error) {
	if err := p.signedIn(); err != nil {
		return err
	}
	p.next, err = p.login(p.user)
	return err
}

// withApp makes an account with an authenticator app, whose next code is the
// first that nobody has seen.
func (p *person) withApp() error {
	if err := p.signedInTwice(); err != nil {
		return err
	}
	started, err := p.want(call{method: "POST", path: "/auth/mfa/totp", token: p.in.access}, http.StatusOK)
	if err != nil {
		return err
	}
	p.app = newFactor(started.text("secret"))
	code, err := p.app.next()
	if err != nil {
		return err
	}
	confirmed, err := p.want(call{method: "POST", path: "/auth/mfa/totp/confirm", token: p.in.access, body: map[string]any{"code": code}}, http.StatusOK)
	p.codes = texts(confirmed.json["recovery_codes"])
	if err == nil && len(p.codes) < 2 {
		err = errors.New("there are no recovery codes")
	}
	return err
}

// asked signs in with the password, up to the question for the second factor.
func (p *person) asked() (err error) {
	if err := p.withApp(); err != nil {
		return err
	}
	a, err := p.want(signIn(p.user), http.StatusForbidden)
	p.token = a.text("mfa_token")
	return err
}

// reach says whether a token opens a service's door.
func (p *person) reach(token string, status int) error {
	return p.until(func() error {
		_, err := p.want(call{method: "GET", path: "/api/echo/x", token: token}, status)
		return err
	})
}

// events counts what the audit trail tells about an account.
func (p *person) events(userID, event, outcome string) (int, error) {
	a, err := p.want(call{method: "GET", path: "/admin/audit?user=" + userID + "&event=" + event + "&outcome=" + outcome, token: p.root.access}, http.StatusOK)
	return len(a.items()), err
}

// admin signs the administrator in once.
func (f *fragile) administrator(ctx context.Context) (session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.root.access != "" {
		return f.root, nil
	}
	p := person{fragile: f, ctx: ctx}
	var err error
	f.root, err = p.login(user{f.adminEmail, f.adminPassword})
	return f.root, err
}
