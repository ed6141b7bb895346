package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/pquerna/otp/totp"
)

func factorFlows() []flow {
	// shown is the code that the app shows when it is asked first, and which is
	// good for as long as an outage lasts.
	shown := func(p *person) string {
		if p.secret == "" {
			p.secret, _ = totp.GenerateCode(p.app.secret, time.Now().Add(30*time.Second)) // an empty one is refused
		}
		return p.secret
	}
	code := func(path string, p *person) call {
		return call{method: "POST", path: path, token: p.in.access, body: map[string]any{"code": shown(p)}}
	}
	return []flow{
		{
			name: "set up an authenticator app", prepare: (*person).signedIn, done: []int{http.StatusOK},
			call: func(p *person) call { return call{method: "POST", path: "/auth/mfa/totp", token: p.in.access} },
			after: func(p *person, last answer) (err error) {
				p.app = newFactor(last.text("secret"))
				_, err = p.want(code("/auth/mfa/totp/confirm", p), http.StatusOK)
				return err
			},
		}, {
			name: "confirm an authenticator app", done: []int{http.StatusOK}, lost: []int{http.StatusConflict},
			event: "mfa_factor_added", letter: "A second factor was added",
			prepare: func(p *person) error {
				if err := p.signedIn(); err != nil {
					return err
				}
				started, err := p.want(call{method: "POST", path: "/auth/mfa/totp", token: p.in.access}, http.StatusOK)
				if err != nil {
					return err
				}
				p.app = newFactor(started.text("secret"))
				return nil
			},
			call: func(p *person) call { return code("/auth/mfa/totp/confirm", p) },
			after: func(p *person, _ answer) error {
				_, err := p.want(signIn(p.user), http.StatusForbidden)
				return err
			},
		}, {
			name: "sign in, up to the second factor", prepare: (*person).withApp, done: []int{http.StatusForbidden},
			call: func(p *person) call { return signIn(p.user) },
			after: func(p *person, last answer) error {
				if last.code() != "mfa_required" {
					return fmt.Errorf("answer %s", last.body)
				}
				_, err := p.want(second(last.text("mfa_token"), p.codes[0]), http.StatusOK)
				return err
			},
		}, {
			name: "sign in with a code", prepare: (*person).asked, done: []int{http.StatusOK}, lost: []int{http.StatusUnauthorized},
			call:  func(p *person) call { return second(p.token, shown(p)) },
			after: (*person).recovers,
		}, {
			name: "sign in with a recovery code", prepare: (*person).asked, done: []int{http.StatusOK}, lost: []int{http.StatusUnauthorized},
			event: "mfa_recovery_code_used", letter: "A recovery code of your account was used",
			call: func(p *person) call { return second(p.token, p.codes[0]) },
			after: func(p *person, _ answer) error {
				left, err := p.want(call{method: "GET", path: "/auth/mfa", token: p.in.access}, http.StatusOK)
				if err == nil && left.json["recovery_codes_left"] != float64(len(p.codes)-1) {
					err = fmt.Errorf("factors %s", left.body)
				}
				return err
			},
		}, {
			name: "step up", done: []int{http.StatusOK}, lost: []int{http.StatusUnauthorized}, event: "mfa_step_up",
			prepare: func(p *person) error {
				if err := p.withApp(); err != nil {
					return err
				}
				p.in, p.next = p.next, p.in // this one has not shown the app
				return nil
			},
			call: func(p *person) call { return code("/auth/mfa/step-up", p) },
			after: func(p *person, _ answer) error { // also if the answer was lost, the next token tells
				refreshed, err := p.want(refreshCall(p.in.refresh, 0), http.StatusOK)
				if err == nil {
					_, err = p.want(call{method: "GET", path: "/api/mfa/x", token: refreshed.text("access_token")}, http.StatusOK)
				}
				return err
			},
		}, {
			name: "ask for new recovery codes", prepare: (*person).withApp, done: []int{http.StatusOK},
			call: func(p *person) call {
				return call{method: "POST", path: "/auth/mfa/recovery-codes", token: p.in.access, body: map[string]any{"password": p.user.password}}
			},
			after: func(p *person, last answer) error {
				p.codes = texts(last.json["recovery_codes"])
				return p.recovers(last)
			},
		}, {
			name: "take the authenticator app away", prepare: (*person).withApp, done: []int{http.StatusNoContent}, lost: []int{http.StatusNotFound},
			event: "mfa_factor_removed", letter: "A second factor was removed",
			call: func(p *person) call {
				return call{method: "DELETE", path: "/auth/mfa/totp", token: p.in.access, body: map[string]any{"password": p.user.password}}
			},
			after: func(p *person, _ answer) error {
				_, err := p.login(p.user)
				return err
			},
		},
	}
}

func second(token, code string) call {
	return call{method: "POST", path: "/auth/login/mfa", body: map[string]any{"mfa_token": token, "code": code}}
}

// recovers signs in with the last of the recovery codes.
func (p *person) recovers(answer) error {
	asked, err := p.want(signIn(p.user), http.StatusForbidden)
	if err == nil {
		_, err = p.want(second(asked.text("mfa_token"), p.codes[len(p.codes)-1]), http.StatusOK)
	}
	return err
}
