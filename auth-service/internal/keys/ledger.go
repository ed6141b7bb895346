package keys

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
)

// ledger is the set of records while a change to it is decided. It touches no
// storage: what it changed is in changes afterwards.
type ledger struct {
	records []Record
	touched []string // kids in the order of their first change
	now     time.Time
	overlap time.Duration // how long a retiring key has to verify
	minter  *minter
}

func newLedger(existing []Record, now time.Time, overlap time.Duration, m *minter) *ledger {
	m.used = 0
	return &ledger{records: slices.Clone(existing), now: now, overlap: overlap, minter: m}
}

// find returns the newest record of that use and state, or nil.
func (l *ledger) find(use, state string) *Record {
	var found *Record
	for i := range l.records {
		r := &l.records[i]
		if r.Use == use && r.State == state && (found == nil || !r.ActivatedAt.Before(found.ActivatedAt)) {
			found = r
		}
	}
	return found
}

func (l *ledger) byID(kid string) *Record {
	i := slices.IndexFunc(l.records, func(r Record) bool { return r.KeyID == kid })
	if i < 0 {
		return nil
	}
	return &l.records[i]
}

func (l *ledger) touch(kid string) {
	if !slices.Contains(l.touched, kid) {
		l.touched = append(l.touched, kid)
	}
}

// changes returns the records that were changed, demotions before what took
// their place.
func (l *ledger) changes() []Record {
	out := make([]Record, 0, len(l.touched))
	for _, kid := range l.touched {
		out = append(out, *l.byID(kid))
	}
	return out
}

// move puts a record into another state.
func (l *ledger) move(r *Record, state string) {
	r.State = state
	switch state {
	case StateActive:
		r.ActivatedAt = l.now
	case StateRetiring:
		r.NotAfter = l.now.Add(l.overlap)
	case StateRetired, StateRevoked:
		r.RetiredAt = l.now
		r.Sealed = nil
	}
	l.touch(r.KeyID)
}

// add stores a key that is not there yet, in the given state.
func (l *ledger) add(r Record, state string) {
	r.CreatedAt = l.now
	l.records = append(l.records, r)
	l.move(&l.records[len(l.records)-1], state)
}

// retireDue retires the keys that no accepted token can be signed with.
func (l *ledger) retireDue() {
	for i := range l.records {
		if r := &l.records[i]; r.State == StateRetiring && !l.now.Before(r.NotAfter) {
			l.move(r, StateRetired)
		}
	}
}

// rotate makes next the active key, and another one next.
func (l *ledger) rotate() error {
	if old := l.find(contract.KeyUseSignature, StateActive); old != nil {
		l.move(old, StateRetiring)
	}
	return l.complete()
}

// complete fills the places that must not be empty: an active and a next
// signing key, and a key for events.
func (l *ledger) complete() error {
	const sig, events = contract.KeyUseSignature, contract.KeyUseEvents
	if l.find(sig, StateActive) == nil {
		if next := l.find(sig, StateNext); next != nil {
			l.move(next, StateActive)
		} else if err := l.mint(sig, StateActive); err != nil {
			return err
		}
	}
	if l.find(sig, StateNext) == nil {
		if err := l.mint(sig, StateNext); err != nil {
			return err
		}
	}
	if l.find(events, StateActive) == nil {
		return l.mint(events, StateActive)
	}
	return nil
}

func (l *ledger) mint(use, state string) error {
	r, err := l.minter.take(use)
	if err != nil {
		return err
	}
	l.add(r, state)
	return nil
}

// revoke takes a key out of use at once, and fills its place.
func (l *ledger) revoke(kid string) error {
	r := l.byID(kid)
	if r == nil {
		return fault.New(fault.NotFound, "There is no such key.")
	}
	if r.State != StateRevoked {
		l.move(r, StateRevoked)
	}
	return l.complete()
}

// minter makes new keys. A decision may be made twice, once to see what it
// needs and once inside the transaction; the second time it is given the keys
// of the first, so that no transaction waits for an RSA key to be found.
type minter struct {
	sealer    sealer
	algorithm string // of signing keys
	made      []Record
	used      int
}

func (m *minter) take(use string) (Record, error) {
	for i := m.used; i < len(m.made); i++ {
		if m.made[i].Use == use {
			m.made[i], m.made[m.used] = m.made[m.used], m.made[i]
			m.used++
			return m.made[m.used-1], nil
		}
	}
	algorithm := m.algorithm
	if use == contract.KeyUseEvents {
		algorithm = token.AlgEdDSA
	}
	key, err := generate(algorithm)
	if err != nil {
		return Record{}, err
	}
	r, err := m.record(key, use)
	if err != nil {
		return Record{}, err
	}
	m.made = append(m.made, r)
	m.made[m.used], m.made[len(m.made)-1] = r, m.made[m.used]
	m.used++
	return r, nil
}

// record gives the stored form of a key, without state and times.
func (m *minter) record(p *Private, use string) (Record, error) {
	sealed, err := m.sealer.seal(p, use)
	if err != nil {
		return Record{}, fmt.Errorf("seal key %s: %w", p.KeyID(), err)
	}
	public, err := json.Marshal(published(p, use))
	if err != nil {
		return Record{}, fmt.Errorf("encode key %s: %w", p.KeyID(), err)
	}
	return Record{KeyID: p.KeyID(), Use: use, Algorithm: p.Algorithm(), Sealed: sealed, PublicJWK: public}, nil
}

// published is the public half as it stands in the key set.
func published(p *Private, use string) contract.JWK {
	k := p.public
	k.Use = use
	return k
}
