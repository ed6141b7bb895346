package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// flow is one call of the contract, made while something is away.
type flow struct {
	name string
	// prepare makes ready what the call needs, while all is well.
	prepare func(p *person) error
	// call is the same call each time.
	call func(p *person) call
	// done are the answers of a call that has done its work.
	done []int
	// lost is what a retry may be told if the work was done and only its answer
	// was lost: the client can go on from there.
	lost []int
	// event is what the audit trail must tell exactly once, however often the
	// call was made; "" where each call counts for itself.
	event string
	// letter are words in the subject of a letter; "" if there is none. It must
	// arrive once if there is an event, and otherwise once for each call that may
	// have done its work, at most.
	letter string
	// never says that no outage is an excuse.
	never bool
	// after checks, when all is well again, what has come of it.
	after func(p *person, last answer) error
}

// flows are all of them.
func flows() []flow {
	return slices.Concat(accountFlows(), sessionFlows(), passwordFlows(), factorFlows(), profileFlows(), adminFlows(), machineFlows(), gatewayFlows())
}

func nothing(*person) error { return nil }

func stays(p *person, _ answer) error { return p.reach(p.in.access, http.StatusOK) }

func get(path string) func(p *person) call {
	return func(p *person) call { return call{method: "GET", path: path, token: p.in.access} }
}

func accountFlows() []flow {
	return []flow{
		{
			name: "register", prepare: nothing, call: (*person).registration, done: []int{http.StatusAccepted},
			letter: "Confirm your email address",
			after: func(p *person, _ answer) error {
				if err := p.confirmRegistration(); err != nil {
					return err
				}
				return p.until(func() error {
					a, err := p.want(call{method: "GET", path: "/users/me", token: p.in.access}, http.StatusOK)
					if err == nil && a.text("first_name") != "Ada" {
						err = fmt.Errorf("profile %s", a.body)
					}
					return err
				})
			},
		}, {
			name: "confirm the address", done: []int{http.StatusNoContent}, lost: []int{http.StatusUnprocessableEntity}, event: "email_verified",
			prepare: (*person).registered,
			call:    func(p *person) call { return confirmation(p.token) },
			after:   func(p *person, _ answer) error { return p.verified(p.user) },
		}, {
			name: "ask for the confirmation again", done: []int{http.StatusAccepted},
			letter:  "Confirm your email address",
			prepare: (*person).registered,
			call:    func(p *person) call { return call{method: "POST", path: "/auth/email/resend", token: p.in.access} },
			after: func(p *person, _ answer) error {
				token, err := p.mailed(p.user.email, "Confirm")
				if err == nil {
					_, err = p.want(confirmation(token), http.StatusNoContent)
				}
				return err
			},
		}, {
			name: "ask for another address", prepare: (*person).signedIn, done: []int{http.StatusAccepted},
			letter: "A new email address was asked for",
			call:   (*person).moving,
			after: func(p *person, _ answer) error {
				token, err := p.mailed(p.moved().email, "new email address")
				if err == nil {
					_, err = p.want(confirmation(token), http.StatusNoContent)
				}
				if err == nil {
					err = p.verified(p.moved())
				}
				return err
			},
		}, {
			name: "confirm another address", done: []int{http.StatusNoContent}, lost: []int{http.StatusUnprocessableEntity}, event: "email_changed",
			letter: "Your email address was changed",
			prepare: func(p *person) (err error) {
				if err = p.signedIn(); err == nil {
					_, err = p.want(p.moving(), http.StatusAccepted)
				}
				if err == nil {
					p.token, err = p.mailed(p.moved().email, "new email address")
				}
				return err
			},
			call: func(p *person) call { return confirmation(p.token) },
			after: func(p *person, _ answer) error {
				if _, err := p.want(signIn(p.user), http.StatusUnauthorized); err != nil {
					return err
				}
				return p.verified(p.moved())
			},
		}, {
			name: "look at the own account", prepare: (*person).signedIn, done: []int{http.StatusOK}, call: get("/auth/me"),
			after: func(p *person, last answer) error {
				if last.text("email") != p.user.email {
					return fmt.Errorf("account %s", last.body)
				}
				return nil
			},
		}, {
			name: "export the own account", prepare: (*person).signedIn, done: []int{http.StatusOK}, call: get("/auth/me/export"),
			after: func(_ *person, last answer) error {
				for _, part := range []string{`{"account":`, `{"session":`, `{"event":`, `"account_exported"`} {
					if !strings.Contains(string(last.body), part) {
						return fmt.Errorf("the export lacks %s: %s", part, last.body)
					}
				}
				return nil
			},
		}, {
			name: "delete the own account", prepare: (*person).signedIn, done: []int{http.StatusAccepted}, lost: []int{http.StatusUnauthorized},
			letter: "Your account was deleted",
			call: func(p *person) call {
				return call{method: "DELETE", path: "/auth/me", token: p.in.access, body: map[string]any{"password": p.user.password}}
			},
			after: func(p *person, _ answer) error { return p.gone() },
		},
	}
}

// moved is the user with another address.
func (p *person) moved() user { return user{"moved-" + p.user.email, p.user.password} }

func (p *person) moving() call {
	return call{method: "PUT", path: "/auth/email", token: p.in.access, body: map[string]any{
		"new_email": p.moved().email, "current_password": p.user.password,
	}}
}

// confirmRegistration confirms the address and signs in. Whoever had to
// register twice says once more which password holds.
func (p *person) confirmRegistration() error {
	return p.until(func() error {
		token, err := p.mailed(p.user.email, "Confirm")
		if err != nil {
			return err
		}
		body := map[string]any{"token": token, "new_password": p.user.password}
		if _, err = p.want(call{method: "POST", path: "/auth/email/verify", body: body}, http.StatusNoContent); err == nil {
			p.in, err = p.login(p.user)
		}
		return err
	})
}

// verified signs in, and looks whether the address counts as confirmed.
func (p *person) verified(u user) error {
	s, err := p.login(u)
	if err != nil {
		return err
	}
	a, err := p.want(call{method: "GET", path: "/auth/me", token: s.access}, http.StatusOK)
	if err == nil && (a.json["email_verified"] != true || a.text("email") != u.email) {
		err = fmt.Errorf("account %s", a.body)
	}
	return err
}

// gone checks that an account is gone from both services.
func (p *person) gone() error {
	if _, err := p.want(signIn(p.user), http.StatusUnauthorized); err != nil {
		return err
	}
	return errors.Join(p.reach(p.in.access, http.StatusUnauthorized), p.until(func() error {
		_, err := p.want(call{method: "GET", path: "/admin/users/" + p.in.userID, token: p.root.access}, http.StatusNotFound)
		return err
	}))
}
