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
	kills   []*history.Op // of this token alone
}

// facts are the operations, by what they are about.
type facts struct {
	sessions  map[string]*session
	tokens    map[string]*token
	userKills map[string][]*history.Op // and role changes
	keyKills  map[string][]*history.Op // by kid
}

func gather(h *history.History) *facts {
	f := &facts{sessions: map[string]*session{}, tokens: map[string]*token{}, userKills: map[string][]*history.Op{}, keyKills: map[string][]*history.Op{}}
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
				f.tokens[o.NewToken] = &token{session: of, issued: o}
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
		case o.Kind == history.RevokeToken && f.tokens[o.Token] != nil && happened:
			f.tokens[o.Token].kills = append(f.tokens[o.Token].kills, o)
		case o.Kind == history.RevokeKey && happened:
			f.keyKills[o.Key] = append(f.keyKills[o.Key], o)
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
	if !known || f.sessions[t.session] == nil {
		return never
	}
	s, dead := f.sessions[t.session], never
	for _, kills := range [][]*history.Op{s.kills, t.kills} {
		for _, o := range kills {
			if o.Acknowledged() {
				dead = min(dead, o.End)
			}
		}
	}
	for _, o := range f.keyKills[t.issued.Key] {
		if o.Acknowledged() { // one that is given later is born dead
			dead = min(dead, max(o.End, t.issued.End))
		}
	}
	for _, o := range f.userKills[s.user] {
		before := t.issued.End < o.Start || o.Kind.KillsUser() && s.login.End < o.Start
		if o.Acknowledged() && before {
			dead = min(dead, o.End)
		}
	}
	return dead
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
	for _, kills := range [][]*history.Op{t.kills, f.keyKills[t.issued.Key]} {
		for _, o := range kills {
			from = min(from, o.Start)
		}
	}
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
