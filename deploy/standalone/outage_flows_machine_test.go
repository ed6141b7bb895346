package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// asClient is a call with the credentials of a program.
func asClient(path, id, secret string, form url.Values) call {
	credentials := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
	return call{method: "POST", path: path, raw: form.Encode(), header: http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Basic " + credentials},
	}}
}

func machineFlows() []flow {
	newAccount := func(p *person) call {
		return call{method: "POST", path: "/admin/service-accounts", token: p.root.access, body: map[string]any{"name": strings.ReplaceAll(p.user.email, "@", "."), "roles": []string{"clerk"}}}
	}
	grant := func(p *person) call {
		return asClient("/auth/token", p.token, p.secret, url.Values{"grant_type": {"client_credentials"}})
	}
	withAccount := func(p *person) error {
		a, err := p.want(newAccount(p), http.StatusCreated)
		if err != nil {
			return err
		}
		secrets, _ := a.json["secrets"].([]any)
		if len(secrets) != 1 {
			return fmt.Errorf("service account %s", a.body)
		}
		first, _ := secrets[0].(map[string]any)
		p.token = a.text("id")
		p.secret, _ = first["client_secret"].(string)
		return nil
	}
	introspect := func(token string) call {
		return asClient("/auth/introspect", programID, programSecret, url.Values{"token": {token}})
	}
	active := func(want bool) func(p *person, last answer) error {
		return func(_ *person, last answer) error {
			if last.json["active"] != want {
				return fmt.Errorf("answer %s", last.body)
			}
			return nil
		}
	}
	return []flow{
		{
			name: "make a service account", prepare: nothing, done: []int{http.StatusCreated}, lost: []int{http.StatusConflict}, call: newAccount,
			after: func(p *person, _ answer) error {
				_, err := p.want(newAccount(p), http.StatusConflict)
				return err
			},
		}, {
			name: "a program gets a token", prepare: withAccount, done: []int{http.StatusOK}, call: grant,
			after: func(p *person, last answer) error { return p.reach(last.text("access_token"), http.StatusOK) },
		}, {
			name: "look into an access token", prepare: (*person).signedIn, done: []int{http.StatusOK},
			call: func(p *person) call { return introspect(p.in.access) }, after: active(true),
		}, {
			name: "look into a refresh token", prepare: (*person).signedIn, done: []int{http.StatusOK},
			call: func(p *person) call { return introspect(p.in.refresh) }, after: active(true),
		}, {
			name: "revoke a refresh token", prepare: (*person).signedIn, done: []int{http.StatusOK},
			call: func(p *person) call {
				return asClient("/auth/revoke", programID, programSecret, url.Values{"token": {p.in.refresh}})
			},
			after: func(p *person, _ answer) error { return p.over(p.in) },
		}, {
			name: "revoke an access token", prepare: (*person).signedIn, done: []int{http.StatusOK},
			call: func(p *person) call {
				return asClient("/auth/revoke", programID, programSecret, url.Values{"token": {p.in.access}})
			},
			after: func(p *person, last answer) error {
				if err := p.reach(p.in.access, http.StatusUnauthorized); err != nil {
					return err
				}
				a, err := p.want(introspect(p.in.access), http.StatusOK)
				if err == nil {
					err = active(false)(p, a)
				}
				return err
			},
		},
	}
}

// gatewayFlows are calls that have nothing to do with either service.
func gatewayFlows() []flow {
	return []flow{
		{name: "call another team's service", prepare: (*person).signedIn, done: []int{http.StatusOK}, call: get("/api/echo/x"), after: stays},
		{
			name: "call a public route", prepare: nothing, done: []int{http.StatusOK}, never: true,
			call:  func(*person) call { return call{method: "GET", path: "/api/public/x"} },
			after: func(*person, answer) error { return nil },
		},
		{
			name: "read the key set", prepare: nothing, done: []int{http.StatusOK},
			call: func(*person) call { return call{method: "GET", path: "/.well-known/jwks.json"} },
			after: func(_ *person, last answer) error {
				if keys, _ := last.json["keys"].([]any); len(keys) == 0 {
					return fmt.Errorf("key set %s", last.body)
				}
				return nil
			},
		},
	}
}
