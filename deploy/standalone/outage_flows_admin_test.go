package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

func profileFlows() []flow {
	return []flow{
		{
			name: "read the profile", prepare: (*person).withProfile, done: []int{http.StatusOK}, call: get("/users/me"),
			after: func(p *person, last answer) error {
				if last.text("id") != p.in.userID || last.text("email") != p.user.email {
					return fmt.Errorf("profile %s", last.body)
				}
				return nil
			},
		}, {
			name: "write the profile", prepare: (*person).withProfile, done: []int{http.StatusOK}, lost: []int{http.StatusPreconditionFailed},
			call: func(p *person) call {
				return call{method: "PATCH", path: "/users/me", token: p.in.access, raw: `{"display_name":"Countess"}`, header: http.Header{
					"Content-Type": {"application/merge-patch+json"}, "If-Match": {p.etag},
				}}
			},
			after: func(p *person, _ answer) error {
				a, err := p.want(call{method: "GET", path: "/users/me", token: p.in.access}, http.StatusOK)
				if err == nil && (a.text("display_name") != "Countess" || a.header.Get("ETag") == p.etag) {
					err = fmt.Errorf("profile %s", a.body)
				}
				return err
			},
		},
	}
}

// withProfile makes an account that is known to the user-service, as it will
// stay.
func (p *person) withProfile() error {
	if err := p.signedIn(); err != nil {
		return err
	}
	return p.until(func() error {
		a, err := p.want(call{method: "GET", path: "/admin/users/" + p.in.userID, token: p.root.access}, http.StatusOK)
		if err == nil && (a.json["email_verified"] != true || a.json["last_login_at"] == nil) {
			err = fmt.Errorf("account %s", a.body)
		}
		if err != nil {
			return err
		}
		a, err = p.want(call{method: "GET", path: "/users/me", token: p.in.access}, http.StatusOK)
		p.etag = a.header.Get("ETag")
		return err
	})
}

func adminFlows() []flow {
	onUser := func(method, rest string) func(p *person) call {
		return func(p *person) call {
			return call{method: method, path: "/admin/users/" + p.in.userID + rest, token: p.root.access}
		}
	}
	ask := func(path string) func(p *person) call {
		return func(p *person) call { return call{method: "GET", path: path, token: p.root.access} }
	}
	anything := func(_ *person, last answer) error {
		if len(last.items()) == 0 {
			return fmt.Errorf("the list is empty: %s", last.body)
		}
		return nil
	}
	return []flow{
		{
			name: "an administrator looks for a user", prepare: (*person).withProfile, done: []int{http.StatusOK},
			call: func(p *person) call { return ask("/admin/users?query=" + url.QueryEscape(p.user.email))(p) },
			after: func(p *person, last answer) error {
				if items := last.items(); len(items) != 1 || items[0]["id"] != p.in.userID {
					return fmt.Errorf("list %s", last.body)
				}
				return nil
			},
		}, {
			name: "an administrator locks a user", prepare: (*person).signedIn, done: []int{http.StatusNoContent}, event: "locked",
			call: onUser("POST", "/lock"),
			after: func(p *person, _ answer) error {
				a, err := p.want(signIn(p.user), http.StatusForbidden)
				if err == nil && a.code() != "account_locked" {
					err = fmt.Errorf("answer %s", a.body)
				}
				return errors.Join(err, p.over(p.in))
			},
		}, {
			name: "an administrator unlocks a user", done: []int{http.StatusNoContent}, event: "unlocked",
			prepare: func(p *person) error {
				if err := p.signedIn(); err != nil {
					return err
				}
				_, err := p.want(onUser("POST", "/lock")(p), http.StatusNoContent)
				return err
			},
			call: onUser("POST", "/unlock"),
			after: func(p *person, _ answer) error {
				_, err := p.login(p.user)
				return err
			},
		}, {
			name: "an administrator changes roles", prepare: (*person).signedIn, done: []int{http.StatusOK}, event: "roles_changed",
			call: func(p *person) call {
				c := onUser("PUT", "/roles")(p)
				c.body = map[string]any{"roles": []string{"user", "clerk"}}
				return c
			},
			after: func(p *person, _ answer) error {
				a, err := p.want(call{method: "GET", path: "/admin/users/" + p.in.userID + "/sessions", token: p.root.access}, http.StatusOK)
				if err == nil && len(a.items()) != 1 {
					err = fmt.Errorf("sessions %s", a.body)
				}
				if err != nil {
					return err
				}
				refreshed, err := p.want(refreshCall(p.in.refresh, 0), http.StatusOK)
				if err != nil {
					return err
				}
				profile, _ := refreshed.json["user"].(map[string]any)
				if roles := texts(profile["roles"]); !slices.Contains(roles, "clerk") {
					return fmt.Errorf("roles %q", roles)
				}
				return nil
			},
		}, {
			name: "an administrator signs a user out", prepare: (*person).signedInTwice, done: []int{http.StatusNoContent},
			call:  onUser("POST", "/logout"),
			after: func(p *person, _ answer) error { return errors.Join(p.over(p.in), p.over(p.next)) },
		}, {
			name: "an administrator ends a session and waits", prepare: (*person).signedInTwice, done: []int{http.StatusOK}, lost: []int{http.StatusNotFound}, event: "session_ended",
			call: func(p *person) call {
				return call{method: "DELETE", path: "/admin/sessions/" + p.next.id + "?wait=1", token: p.root.access}
			},
			after: func(p *person, last answer) error { return errors.Join(p.over(p.next), stays(p, last)) },
		}, {
			name: "an administrator deletes a user", prepare: (*person).withProfile, done: []int{http.StatusNoContent}, lost: []int{http.StatusNotFound},
			letter: "Your account was deleted", call: onUser("DELETE", ""),
			after: func(p *person, _ answer) error { return p.gone() },
		}, {
			name: "an administrator takes second factors away", prepare: (*person).withApp, done: []int{http.StatusNoContent}, event: "mfa_reset",
			call: onUser("DELETE", "/mfa"),
			after: func(p *person, _ answer) error {
				_, err := p.login(p.user)
				return err
			},
		}, {
			name: "an administrator lists sessions", prepare: (*person).signedInTwice, done: []int{http.StatusOK}, call: onUser("GET", "/sessions"),
			after: func(_ *person, last answer) error {
				if len(last.items()) != 2 {
					return fmt.Errorf("sessions %s", last.body)
				}
				return nil
			},
		},
		{name: "an administrator reads the audit trail", prepare: nothing, done: []int{http.StatusOK}, call: ask("/admin/audit"), after: anything},
		{name: "an administrator lists keys", prepare: nothing, done: []int{http.StatusOK}, call: ask("/admin/keys"), after: anything},
		{name: "an administrator lists gateways", prepare: nothing, done: []int{http.StatusOK}, call: ask("/admin/nodes"), after: func(*person, answer) error { return nil }},
		{
			name: "an administrator changes the signing key", prepare: (*person).signedIn, done: []int{http.StatusCreated},
			call: func(p *person) call { return call{method: "POST", path: "/admin/keys/rotate", token: p.root.access} },
			after: func(p *person, last answer) error {
				if err := stays(p, last); err != nil {
					return err
				}
				refreshed, err := p.want(refreshCall(p.in.refresh, 0), http.StatusOK)
				if err == nil {
					err = p.reach(refreshed.text("access_token"), http.StatusOK)
				}
				return err
			},
		},
	}
}
