package sequencer

import (
	"fmt"
	"maps"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// people are what users and administrators do that concerns versions.
var people = []string{"sign in", "sign in", "raise", "raise"}

// stamp says in which history something happened.
type stamp struct {
	at    int // how many such things had happened before
	epoch uint64
	moved bool // another incarnation had numbered last: the epoch is not its own
	lost  bool // the database was restored to a state without it
}

// coveredBy tells whether something that came later had to outdo s, even if s
// was lost: only if the database was known to have lost something since s, or
// is in a newer epoch. Until then it is as if s had never been.
func (s stamp) coveredBy(later stamp) bool {
	return s.at < later.at && (!s.lost || s.epoch < later.epoch || s.epoch == later.epoch && later.moved && !s.moved)
}

// token is one that a user has got.
type token struct {
	stamp
	user    string
	version uint64
	expires time.Duration
}

// raised is a change that made older tokens of a user bad.
type raised struct {
	stamp
	user      string
	min       uint64
	committed time.Duration
	expires   time.Duration
}

// account is what the rules read of a user.
func (l *memoryLog) account(user string) auth.User {
	u := auth.User{Version: max(1, l.users[user])}
	if !l.sameVersions {
		u.LeastVersion = l.state.Epoch / contract.EpochsPerVersion
		if l.owner != l.incarnation && !l.lateVersions {
			u.LeastVersion = (l.state.Epoch + contract.EpochSpan/2) / contract.EpochsPerVersion
		}
	}
	return u
}

func (w *world) stamp() stamp {
	s := w.database.current()
	return stamp{at: len(w.tokens) + len(w.raises), epoch: s.Epoch, moved: s.Moved}
}

// person has somebody sign in, or all tokens of a user made bad.
func (w *world) person(o op) {
	r, user := w.replicas[o.A%len(w.replicas)], fmt.Sprintf("user-%d", o.B%2)
	u, s := w.database.account(user), w.stamp()
	expires := r.clock.since() + tokenLife
	if o.Kind == "sign in" {
		w.tokens = append(w.tokens, token{s, user, u.TokenVersion(), expires})
		w.note("%s gets a token of version %d", user, u.TokenVersion())
		return
	}
	kind := []contract.RevocationKind{contract.RevokeUser, contract.RevokeUserStale}[o.C%2]
	version := u.TokenVersion() + 1
	w.database.users = maps.Clone(w.database.users)
	w.database.users[user] = version
	w.database.insert(row{
		ID: fmt.Sprintf("raise-%04d", len(w.raises)), Kind: byte(kind), Subject: user, MinVersion: version,
		CreatedAt: micros(r.clock.since()), ExpiresAt: micros(expires + leeway + maxSkew),
	})
	w.raises = append(w.raises, raised{s, user, version, w.now, expires})
	w.note("tokens of %s below version %d are bad", user, version)
}

// loseVersions marks what came after a backup that is restored.
func (w *world) loseVersions(kept int) {
	for i := range w.tokens {
		w.tokens[i].lost = w.tokens[i].lost || w.tokens[i].at >= kept
	}
	for i := range w.raises {
		w.raises[i].lost = w.raises[i].lost || w.raises[i].at >= kept
	}
}

// checkVersions: a node that claims age A refuses every token that a change made
// bad which was committed more than A ago, also one of a lost history; and no
// node refuses a token that nothing came after.
func (n *node) checkVersions() error {
	age, claims := n.view.Progress.Age()
	for _, t := range n.w.tokens {
		if n.clock.since() > t.expires+leeway {
			continue
		}
		good := n.view.Set.Check(&contract.Claims{
			Refs: contract.Refs{User: contract.ParseSubjectID(t.user)}, Version: t.version,
		}) == revocation.Good
		last, excused := (*raised)(nil), t.lost
		for i := range n.w.raises {
			r := &n.w.raises[i]
			if r.user != t.user {
				continue
			}
			excused = excused || r.at > t.at || !r.coveredBy(t.stamp)
			if !r.lost && t.coveredBy(r.stamp) && r.committed < n.w.now-age && n.clock.since() <= r.expires {
				last = r
			}
		}
		if good && claims && last != nil {
			return fmt.Errorf("%s claims to be complete as of %v ago, and accepts %+v after %+v", n.name, age, t, *last)
		}
		if !good && !excused {
			return fmt.Errorf("%s refuses %+v, after which nothing has come", n.name, t)
		}
	}
	return nil
}
