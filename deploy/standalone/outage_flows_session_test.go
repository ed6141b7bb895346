package main

import (
	"errors"
	"fmt"
	"net/http"

	"gatehouse.internal/shared/contract"
)

func sessionFlows() []flow {
	return []flow{
		{
			name: "sign in", prepare: (*person).settle, done: []int{http.StatusOK},
			call: func(p *person) call { return signIn(p.user) },
			after: func(p *person, last answer) error {
				s, err := sessionIn(last)
				if err != nil {
					return err
				}
				return p.reach(s.access, http.StatusOK)
			},
		}, {
			name: "sign in with a wrong password", prepare: (*person).settle, done: []int{http.StatusUnauthorized},
			call: func(p *person) call { return signIn(user{p.user.email, "wrong wrong wrong 1"}) },
			after: func(p *person, last answer) error {
				if last.code() != "invalid_credentials" {
					return fmt.Errorf("answer %s", last.body)
				}
				_, err := p.login(p.user)
				return err
			},
		}, {
			name: "refresh", prepare: (*person).signedIn, done: []int{http.StatusOK}, event: "refresh",
			call:  func(p *person) call { return refreshCall(p.in.refresh, 0) },
			after: (*person).goesOn,
		}, {
			name: "refresh by cookie", prepare: (*person).signedIn, done: []int{http.StatusOK}, event: "refresh",
			call: func(p *person) call {
				return call{method: "POST", path: "/auth/refresh", header: http.Header{
					"Cookie": {contract.CookieRefresh + "=" + p.in.refresh}, "Sec-Fetch-Site": {"same-origin"},
				}}
			},
			after: func(p *person, last answer) error {
				response := http.Response{Header: last.header}
				for _, c := range response.Cookies() {
					if c.Name == contract.CookieAccess {
						return p.reach(c.Value, http.StatusOK)
					}
				}
				return errors.New("there is no cookie with an access token")
			},
		}, {
			// The answer of a first refresh was lost before anything broke.
			name: "refresh again", done: []int{http.StatusOK}, event: "refresh",
			prepare: func(p *person) error {
				if err := p.signedIn(); err != nil {
					return err
				}
				_, err := p.want(refreshCall(p.in.refresh, 0), http.StatusOK)
				return err
			},
			call:  func(p *person) call { return refreshCall(p.in.refresh, 0) },
			after: (*person).goesOn,
		}, {
			name: "sign out", prepare: (*person).signedInTwice, done: []int{http.StatusNoContent}, lost: []int{http.StatusUnauthorized}, event: "logout",
			call: func(p *person) call { return call{method: "POST", path: "/auth/logout", token: p.in.access} },
			after: func(p *person, _ answer) error {
				return errors.Join(p.over(p.in), p.reach(p.next.access, http.StatusOK))
			},
		}, {
			name: "sign out by the refresh token", prepare: (*person).signedInTwice, done: []int{http.StatusNoContent}, event: "logout",
			call: func(p *person) call {
				return call{method: "POST", path: "/auth/logout", body: map[string]any{"refresh_token": p.in.refresh}}
			},
			after: func(p *person, _ answer) error {
				return errors.Join(p.over(p.in), p.reach(p.next.access, http.StatusOK))
			},
		}, {
			name: "sign out everywhere", prepare: (*person).signedInTwice, done: []int{http.StatusNoContent}, lost: []int{http.StatusUnauthorized}, event: "logout_all",
			call:  func(p *person) call { return call{method: "POST", path: "/auth/logout/all", token: p.in.access} },
			after: func(p *person, _ answer) error { return errors.Join(p.over(p.in), p.over(p.next)) },
		}, {
			name: "list sessions", prepare: (*person).signedInTwice, done: []int{http.StatusOK}, call: get("/auth/sessions"),
			after: func(_ *person, last answer) error {
				if len(last.items()) != 2 {
					return fmt.Errorf("sessions %s", last.body)
				}
				return nil
			},
		}, {
			name: "end a session", prepare: (*person).signedInTwice, done: []int{http.StatusNoContent}, lost: []int{http.StatusNotFound}, event: "session_ended",
			call: func(p *person) call {
				return call{method: "DELETE", path: "/auth/sessions/" + p.next.id, token: p.in.access}
			},
			after: func(p *person, last answer) error { return errors.Join(p.over(p.next), stays(p, last)) },
		}, {
			name: "end the other sessions", prepare: (*person).signedInTwice, done: []int{http.StatusOK},
			call:  func(p *person) call { return call{method: "DELETE", path: "/auth/sessions", token: p.in.access} },
			after: func(p *person, last answer) error { return errors.Join(p.over(p.next), stays(p, last)) },
		},
	}
}

// goesOn checks that a refreshed session lives, with its newest token.
func (p *person) goesOn(last answer) error {
	s, err := sessionIn(last)
	if err != nil {
		return err
	}
	if s.id != p.in.id {
		return errors.New("the refresh has made another session")
	}
	if err := p.reach(s.access, http.StatusOK); err != nil {
		return err
	}
	_, err = p.want(refreshCall(s.refresh, 0), http.StatusOK)
	return err
}

// over checks that a session is dead.
func (p *person) over(s session) error {
	if err := p.reach(s.access, http.StatusUnauthorized); err != nil {
		return err
	}
	_, err := p.want(refreshCall(s.refresh, 0), http.StatusUnauthorized)
	return err
}

func passwordFlows() []flow {
	return []flow{
		{
			name: "change the password", prepare: (*person).signedInTwice, done: []int{http.StatusOK}, lost: []int{http.StatusUnauthorized},
			event: "password_changed", letter: "Your password was changed",
			call: func(p *person) call {
				return call{method: "PUT", path: "/auth/password", token: p.in.access, body: map[string]any{
					"current_password": p.user.password, "new_password": otherPassword,
				}}
			},
			after: (*person).newPassword,
		}, {
			name: "forget the password", prepare: (*person).settle, done: []int{http.StatusAccepted},
			letter: "Choose a new password",
			call: func(p *person) call {
				return call{method: "POST", path: "/auth/password/forgot", body: map[string]any{"email": p.user.email}}
			},
			after: func(p *person, _ answer) error {
				token, err := p.mailed(p.user.email, "new password")
				if err == nil {
					_, err = p.want(reset(token), http.StatusNoContent)
				}
				return err
			},
		}, {
			name: "reset the password", done: []int{http.StatusNoContent}, lost: []int{http.StatusUnprocessableEntity},
			event: "password_reset", letter: "Your password was changed",
			prepare: func(p *person) (err error) {
				if err = p.signedInTwice(); err == nil {
					_, err = p.want(call{method: "POST", path: "/auth/password/forgot", body: map[string]any{"email": p.user.email}}, http.StatusAccepted)
				}
				if err == nil {
					p.token, err = p.mailed(p.user.email, "new password")
				}
				return err
			},
			call:  func(p *person) call { return reset(p.token) },
			after: (*person).newPassword,
		},
	}
}

func reset(token string) call {
	return call{method: "POST", path: "/auth/password/reset", body: map[string]any{"token": token, "new_password": otherPassword}}
}

// newPassword checks that the next password holds, and that all is over that
// was signed in with the one before.
func (p *person) newPassword(answer) error {
	if _, err := p.login(user{p.user.email, otherPassword}); err != nil {
		return err
	}
	_, err := p.want(signIn(p.user), http.StatusUnauthorized)
	return errors.Join(err, p.over(p.in), p.over(p.next))
}
