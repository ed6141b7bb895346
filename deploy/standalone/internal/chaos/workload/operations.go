package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// refresh uses the session's refresh token. One whose answer was lost is used
// again the next time, as a client would.
func (w *Workload) refresh(ctx context.Context, s *session, node int) history.Op {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	return w.refreshOnce(ctx, s, node)
}

// refreshOnce is refresh for a caller who holds the lock.
func (w *Workload) refreshOnce(ctx context.Context, s *session, node int) history.Op {
	access, presented := s.pair()
	o := history.Op{Kind: history.Refresh, User: s.user.id, Session: s.id, Token: access.ID, Presented: hash(presented)}
	a := w.do(ctx, request{method: "POST", path: "/auth/refresh", node: node, body: map[string]string{"refresh_token": presented}}, &o)
	switch {
	case a.status == http.StatusOK:
		t := w.keep(&a, &o)
		s.mu.Lock()
		s.access, s.secret = t, a.body.RefreshToken
		s.mu.Unlock()
	case o.Refused():
		w.forget(func(other *session) bool { return other == s })
	}
	w.Recorder.Add(o)
	return o
}

// logout ends the session by its own access token, or by its refresh token.
func (w *Workload) logout(ctx context.Context, s *session, node int, byRefresh bool) history.Op {
	access, refresh := s.pair()
	o := history.Op{Kind: history.Logout, User: s.user.id, Session: s.id}
	r := request{method: "POST", path: "/auth/logout", node: node}
	if byRefresh {
		o.Presented, r.body = hash(refresh), map[string]string{"refresh_token": refresh}
	} else {
		o.Token, r.token = access.ID, access.raw
	}
	w.do(ctx, r, &o)
	w.Recorder.Add(o)
	w.ended(o, func(other *session) bool { return other == s })
	return o
}

// endSession ends the session by the administrator, who waits for all nodes,
// or by its user.
func (w *Workload) endSession(ctx context.Context, s *session, node int, byUser bool) history.Op {
	o := history.Op{Kind: history.EndSession, User: s.user.id, Session: s.id}
	if byUser {
		access, _ := s.pair()
		o.Token = access.ID
		w.do(ctx, request{method: "DELETE", path: "/auth/sessions/" + s.id, node: node, token: access.raw}, &o)
	} else {
		w.byAdmin(ctx, request{method: "DELETE", path: "/admin/sessions/" + s.id + "?wait=1", node: node}, &o)
	}
	w.Recorder.Add(o)
	w.ended(o, func(other *session) bool { return other == s })
	return o
}

// revoke has a program revoke one of the session's tokens (RFC 7009): the
// access token by itself, or the refresh token and so the session.
func (w *Workload) revoke(ctx context.Context, s *session, node int, grant bool) history.Op {
	access, refresh := s.pair()
	o := history.Op{Kind: history.RevokeToken, User: s.user.id, Session: s.id, Token: access.ID}
	form := url.Values{"token": {access.raw}}
	if grant {
		o.Kind, o.Token, o.Presented = history.RevokeGrant, "", hash(refresh)
		form.Set("token", refresh)
	}
	w.do(ctx, request{method: "POST", path: "/auth/revoke", node: node, form: form}, &o)
	w.Recorder.Add(o)
	if grant {
		w.ended(o, func(other *session) bool { return other == s })
	} else {
		w.refresh(ctx, s, node)
	}
	return o
}

// logoutAll ends every session of the user by one of them.
func (w *Workload) logoutAll(ctx context.Context, s *session, node int) history.Op {
	access, _ := s.pair()
	o := history.Op{Kind: history.LogoutAll, User: s.user.id, Session: s.id, Token: access.ID}
	w.do(ctx, request{method: "POST", path: "/auth/logout/all", node: node, token: access.raw}, &o)
	w.Recorder.Add(o)
	w.ended(o, func(other *session) bool { return other.user == s.user })
	return o
}

// administer is what the administrator does to a user: lock, unlock, logout.
func (w *Workload) administer(ctx context.Context, kind history.Kind, u *user, node int) history.Op {
	path := map[history.Kind]string{history.Lock: "/lock", history.Unlock: "/unlock", history.AdminLogout: "/logout"}[kind]
	o := history.Op{Kind: kind, User: u.id}
	w.byAdmin(ctx, request{method: "POST", path: "/admin/users/" + u.id + path, node: node}, &o)
	w.Recorder.Add(o)
	if kind != history.Unlock {
		w.ended(o, func(other *session) bool { return other.user == u })
	}
	return o
}

// changeRoles gives the user a role that nobody had before.
func (w *Workload) changeRoles(ctx context.Context, u *user, node int) history.Op {
	w.mu.Lock()
	w.roles++
	role := fmt.Sprintf("role-%d", w.roles)
	w.mu.Unlock()
	o := history.Op{Kind: history.Roles, User: u.id}
	w.byAdmin(ctx, request{method: "PUT", path: "/admin/users/" + u.id + "/roles", node: node, body: map[string]any{"roles": []string{"user", role}}}, &o)
	w.Recorder.Add(o)
	return o
}

// changePassword gives the user a new password and a fresh session.
func (w *Workload) changePassword(ctx context.Context, s *session, node int) history.Op {
	u := s.user
	u.Lock()
	defer u.Unlock()
	access, _ := s.pair()
	w.mu.Lock()
	w.names++
	next := fmt.Sprintf("another long passphrase %d", w.names)
	w.mu.Unlock()
	o := history.Op{Kind: history.Password, User: u.id, Session: s.id, Token: access.ID}
	a := w.do(ctx, request{
		method: "PUT", path: "/auth/password", node: node, token: access.raw,
		body: map[string]string{"current_password": u.passwords[len(u.passwords)-1], "new_password": next},
	}, &o)
	var t watched
	switch {
	case a.status == http.StatusOK:
		u.passwords = []string{next}
		t = w.keep(&a, &o)
	case o.Unknown():
		u.passwords = append(u.passwords, next)
	}
	w.Recorder.Add(o)
	w.ended(o, func(other *session) bool { return other.user == u })
	if a.status == http.StatusOK {
		w.begin(u, t, &a)
	}
	return o
}

// ended forgets the sessions that an operation has ended, or may have.
func (w *Workload) ended(o history.Op, gone func(*session) bool) {
	if o.Acknowledged() || o.Unknown() || o.Refused() && o.Token != "" {
		w.forget(gone)
	}
}

// act does what chance says, to a session that is believed to be alive.
func (w *Workload) act(ctx context.Context, rng *rand.Rand) {
	node := rng.IntN(len(w.urls))
	s := w.pick(rng)
	w.mu.Lock()
	few, u := len(w.sessions) < w.Sessions, w.users[rng.IntN(len(w.users))]
	w.mu.Unlock()
	choice := rng.IntN(100)
	switch {
	case s == nil || few && choice < 50:
		if _, err := w.signIn(ctx, u, node); err == errLocked { //nolint:errorlint // our own, never wrapped
			w.administer(ctx, history.Unlock, u, node)
		}
	case choice < 4:
		w.refresh(ctx, s, node)
	case choice < 24:
		w.logout(ctx, s, node, choice%4 == 0)
	case choice < 40:
		w.endSession(ctx, s, node, choice%3 == 0)
	case choice < 48:
		w.revoke(ctx, s, node, false)
	case choice < 56:
		w.revoke(ctx, s, node, true)
	case choice < 60:
		w.emergency(ctx, node)
	case choice < 68:
		w.logoutAll(ctx, s, node)
	case choice < 76:
		w.administer(ctx, history.AdminLogout, s.user, node)
	case choice < 92:
		w.changeRoles(ctx, s.user, node)
	case choice < 96:
		w.changePassword(ctx, s, node)
	default:
		w.administer(ctx, history.Lock, s.user, node)
		w.administer(ctx, history.Unlock, s.user, rng.IntN(len(w.urls)))
	}
}

// emergency revokes the signing key, unless that was done a moment ago: then it
// is no emergency but a change of keys that no gateway could follow.
func (w *Workload) emergency(ctx context.Context, node int) {
	w.mu.Lock()
	now := w.Recorder.Now()
	soon := now-w.killedAt < emergencies
	if !soon {
		w.killedAt = now
	}
	w.mu.Unlock()
	if !soon {
		_ = w.RevokeKey(ctx, node) // whether it was done is in the history
	}
}

// Race uses the refresh token of a session several times at once, on different
// gateways, while something kills the session or makes its tokens stale.
func (w *Workload) Race(ctx context.Context, rng *rand.Rand) {
	s := w.pick(rng)
	if s == nil {
		return
	}
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	var group sync.WaitGroup
	defer group.Wait()
	for i := range 4 {
		group.Go(func() { w.refreshOnce(ctx, s, i%len(w.urls)) })
	}
	node := rng.IntN(len(w.urls))
	killers := []func(){
		func() { w.logout(ctx, s, node, rng.IntN(2) == 0) },
		func() { w.endSession(ctx, s, node, false) },
		func() { w.administer(ctx, history.AdminLogout, s.user, node) },
		func() { w.changeRoles(ctx, s.user, node) },
		func() { w.changePassword(ctx, s, node) },
		func() { w.revoke(ctx, s, node, true) },
		func() {},
	}
	group.Go(killers[rng.IntN(len(killers))])
}
