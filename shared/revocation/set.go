package revocation

import (
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// The entries are spread over many locks, so that none is held for long even in
// a view of ten million. A part of a sweep takes several, one after the other.
const (
	shards     = 1024
	sweepParts = 64
)

// Set holds revocations by what they revoke. Entries are only added, or raised
// to a higher version; nothing but their expiry removes them. A Set is safe
// for concurrent use, and looking up allocates nothing.
type Set struct {
	seed  maphash.Seed
	shard [shards]shard
	// keys are the revoked kids and until when. There are hardly ever any, so
	// the map is replaced as a whole, and reading it costs next to nothing.
	keys  atomic.Pointer[map[string]int64]
	keyMu sync.Mutex // held while keys is replaced
}

// shard keeps moments as Unix seconds in 32 bits, which last until 2106, and
// versions in 32 bits, so that an entry stays under 60 bytes.
type shard struct {
	sync.RWMutex
	ids   table[uint32] // revoked jti and sid, and until when
	users table[floor]
}

// floor is the lowest version of a user's tokens that is still good.
type floor struct{ revoked, stale, until uint32 }

// NewSet returns an empty set.
func NewSet() *Set {
	s := &Set{seed: maphash.MakeSeed()}
	s.keys.Store(&map[string]int64{})
	return s
}

// of gives the hash of an id, and the shard that it picks.
func (s *Set) of(id *contract.SubjectID) (uint64, *shard) {
	hash := hashOf(s.seed, id)
	return hash, &s.shard[hash%shards]
}

// Add takes in an entry. Adding is idempotent and commutative: whatever the
// order and number of calls, the result is the union, with the highest version
// and the latest expiry of each.
func (s *Set) Add(e *contract.Entry) {
	until := clamp32(e.ExpiresAt.Unix())
	if e.Kind == contract.RevokeKey {
		s.changeKeys(func(keys map[string]int64) { keys[e.KeyID] = max(keys[e.KeyID], e.ExpiresAt.Unix()) })
		return
	}
	_, sh := s.of(&e.Subject)
	sh.Lock()
	defer sh.Unlock()
	switch e.Kind {
	case contract.RevokeToken, contract.RevokeSession:
		known := sh.ids.at(s.seed, &e.Subject)
		*known = max(*known, until)
	case contract.RevokeUser, contract.RevokeUserStale:
		f := sh.users.at(s.seed, &e.Subject)
		version := uint32(min(e.MinVersion, math.MaxUint32))
		if e.Kind == contract.RevokeUser {
			f.revoked = max(f.revoked, version)
		} else {
			f.stale = max(f.stale, version)
		}
		f.until = max(f.until, until)
	}
}

// Verdict is what a set knows of a token.
type Verdict byte

// The verdicts, the worst last.
const (
	Good    Verdict = iota // nothing known against it
	Stale                  // the user's roles or state changed: a refresh gives a good token
	Revoked                // the token, its session, its user or its key is revoked
)

// Check looks up the token of the claims by jti, sid, user version and kid.
func (s *Set) Check(c *contract.Claims) Verdict {
	if s.hasID(&c.Refs.Token) || s.hasID(&c.Refs.Session) || s.HasKey(c.KeyID) {
		return Revoked
	}
	hash, sh := s.of(&c.Refs.User)
	var f floor
	sh.RLock()
	if known := sh.users.find(hash, &c.Refs.User); known != nil {
		f = *known
	}
	sh.RUnlock()
	return f.verdict(c.Version)
}

func (f floor) verdict(version uint64) Verdict {
	switch {
	case below(version, f.revoked):
		return Revoked
	case below(version, f.stale):
		return Stale
	}
	return Good
}

// below tells whether a version is under a floor. A floor for which 32 bits are
// too few stands at their end, and every version counts as below it.
func below(version uint64, floor uint32) bool {
	return version < uint64(floor) || floor == math.MaxUint32
}

func (s *Set) hasID(id *contract.SubjectID) bool {
	hash, sh := s.of(id)
	sh.RLock()
	found := sh.ids.find(hash, id) != nil
	sh.RUnlock()
	return found
}

// HasKey reports whether the signing key of that id is revoked.
func (s *Set) HasKey(kid string) bool {
	keys := *s.keys.Load()
	if len(keys) == 0 {
		return false
	}
	_, found := keys[kid]
	return found
}

func (s *Set) changeKeys(change func(map[string]int64)) {
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	next := maps.Clone(*s.keys.Load())
	change(next)
	s.keys.Store(&next)
}

// Len counts the entries.
func (s *Set) Len() int {
	n := 0
	for i := range s.shard {
		sh := &s.shard[i]
		sh.RLock()
		n += sh.ids.live + sh.users.live
		sh.RUnlock()
	}
	return n + len(*s.keys.Load())
}

// Sweep removes the entries that expired before now from one part of the set,
// and gives memory back when it has become much too large. It holds a lock for
// about a tenth of a millisecond at a time at ten million entries; part counts up
// from call to call, and 64 calls sweep all.
func (s *Set) Sweep(part int, now time.Time) {
	limit := clamp32(now.Unix())
	for i := (part%sweepParts + sweepParts) % sweepParts; i < shards; i += sweepParts {
		s.shard[i].sweep(s.seed, limit)
	}
	if len(*s.keys.Load()) > 0 {
		s.changeKeys(func(keys map[string]int64) {
			maps.DeleteFunc(keys, func(_ string, until int64) bool { return until < now.Unix() })
		})
	}
}

func (sh *shard) sweep(seed maphash.Seed, limit uint32) {
	sh.Lock()
	defer sh.Unlock()
	sh.ids.sweep(seed, func(until *uint32) bool { return *until < limit })
	sh.users.sweep(seed, func(f *floor) bool { return f.until < limit })
}

func clamp32(seconds int64) uint32 { return uint32(min(max(seconds, 0), math.MaxUint32)) }
