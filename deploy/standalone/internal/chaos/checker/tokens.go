package checker

import (
	"math"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

const (
	// lateEffect is how long after an operation without an answer its effect
	// may still come: a stopped process may go on with it.
	lateEffect = time.Minute
	never      = time.Duration(math.MaxInt64)
)

// session is what is known of one.
type session struct {
	user      string
	login     *history.Op
	kills     []*history.Op // of this session alone
	refreshes []*history.Op
}

// token is an access token and the operation that gave it first.
type token struct {
	session string
	issued  *history.Op
}

// facts are the operations, by what they are about.
type facts struct {
	sessions  map[string]*session
	tokens    map[string]token
	userKills map[string][]*history.Op // and role changes
	lost      history.Window
}

func gather(h *history.History) *facts {
	f := &facts{sessions: map[string]*session{}, tokens: map[string]token{}, userKills: map[string][]*history.Op{}, lost: h.Lost}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.NewSession != "" && f.sessions[o.NewSession] == nil {
			f.sessions[o.NewSession] = &session{user: o.User, login: o}
		}
		if o.NewToken != "" {
			of := o.NewSession
			if of == "" {
				of = o.Session
			}
			if _, known := f.tokens[o.NewToken]; !known {
				f.tokens[o.NewToken] = token{of, o}
			}
		}
	}
	for i := range h.Ops {
		o := &h.Ops[i]
		s := f.sessions[o.Session]
		happened := o.Acknowledged() || o.Unknown()
		switch {
		case o.Kind == history.Refresh && s != nil:
			s.refreshes = append(s.refreshes, o)
		case o.Kind.KillsSession() && s != nil && happened:
			s.kills = append(s.kills, o)
		case (o.Kind.KillsUser() || o.Kind == history.Roles) && happened:
			f.userKills[o.User] = append(f.userKills[o.User], o)
		}
	}
	return f
}

// sessionDead gives the first moment at which the session was dead for certain.
func (f *facts) sessionDead(id string) time.Duration {
	s := f.sessions[id]
	if s == nil {
		return never
	}
	dead := never
	for _, o := range s.kills {
		if o.Acknowledged() {
			dead = min(dead, o.End)
		}
	}
	for _, o := range f.userKills[s.user] {
		if o.Kind.KillsUser() && o.Acknowledged() && s.login.End < o.Start {
			dead = min(dead, o.End)
		}
	}
	return dead
}

// dead gives the first moment at which the token was dead or stale for certain.
func (f *facts) dead(id string) time.Duration {
	t, known := f.tokens[id]
	s := f.sessions[t.session]
	if !known || s == nil {
		return never
	}
	dead := never
	for _, o := range s.kills {
		if o.Acknowledged() {
			dead = min(dead, o.End)
		}
	}
	for _, o := range f.userKills[s.user] {
		before := t.issued.End < o.Start || o.Kind.KillsUser() && s.login.End < o.Start
		if o.Acknowledged() && before && !f.spared(o, t) {
			dead = min(dead, o.End)
		}
	}
	return dead
}

// spared tells whether an operation on a user need not kill a token, because
// the token was issued in a history that the database has lost, with a version
// of the user that the database gives out again.
func (f *facts) spared(o *history.Op, t token) bool {
	return f.lost.End > 0 && o.Start > f.lost.End && t.issued.End > f.lost.Start
}

// sessionDoubtful gives the first moment from which the session may be dead.
func (f *facts) sessionDoubtful(id string) time.Duration {
	s := f.sessions[id]
	if s == nil {
		return 0
	}
	from := never
	for _, o := range s.kills {
		from = min(from, o.Start)
	}
	for _, o := range f.userKills[s.user] {
		if o.Kind.KillsUser() && s.login != o && s.login.Start < effectEnd(o) {
			from = min(from, o.Start)
		}
	}
	// A refresh without an answer may be carried out after its successor was
	// used, or be tried again too late: both look like theft, and end it.
	for _, lost := range s.refreshes {
		if !lost.Unknown() {
			continue
		}
		for _, later := range s.refreshes {
			if later != lost && later.Start > lost.Start {
				from = min(from, later.Start)
			}
		}
	}
	return from
}

// doubtful gives the first moment from which the token may be dead or stale.
func (f *facts) doubtful(id string) time.Duration {
	t, known := f.tokens[id]
	if !known {
		return 0
	}
	from := f.sessionDoubtful(t.session)
	if s := f.sessions[t.session]; s != nil {
		for _, o := range f.userKills[s.user] {
			if t.issued != o && t.issued.Start < effectEnd(o) {
				from = min(from, o.Start)
			}
		}
	}
	return from
}

// effectEnd is the last moment at which the operation can have happened.
func effectEnd(o *history.Op) time.Duration {
	if o.Unknown() {
		return o.End + lateEffect
	}
	return o.End
}
