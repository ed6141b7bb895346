package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// keyring is what one state of the store means. It never changes.
type keyring struct {
	private    map[string]*Private // of all published keys
	active     *Private
	events     *Private
	set        contract.JWKSet
	verify     *token.Set
	records    []Record // without private halves
	generation uint64
}

// open decrypts the private keys of all published records. Those already open
// are taken from known: a key's id is its thumbprint, so it is the same key.
func (m *Manager) open(records []Record, known map[string]*Private) (map[string]*Private, error) {
	out := make(map[string]*Private)
	var problems []error
	for _, r := range records {
		if !isPublished(r) {
			continue
		}
		if p := known[r.KeyID]; p != nil {
			out[r.KeyID] = p
			continue
		}
		p, err := m.sealer.open(r)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		out[r.KeyID] = p
	}
	return out, errors.Join(problems...)
}

func isPublished(r Record) bool {
	return r.State == StateNext || r.State == StateActive || r.State == StateRetiring
}

// Reload takes over what is stored. When that cannot be read, the keys known
// so far stay in use.
func (m *Manager) Reload(ctx context.Context) error {
	m.reload.Lock()
	defer m.reload.Unlock()
	records, err := m.options.Store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	last := m.current.Load()
	next, err := m.keyring(records, last)
	if err != nil {
		return err
	}
	if last != nil && last.generation != next.generation {
		m.options.Log.InfoContext(ctx, "signing keys changed", "active", next.active.KeyID(), "published", len(next.set.Keys))
	}
	m.current.Store(next)
	return nil
}

func (m *Manager) keyring(records []Record, last *keyring) (*keyring, error) {
	next := &keyring{generation: 1}
	var known map[string]*Private
	if last != nil {
		known = last.private
	}
	var err error
	if next.private, err = m.open(records, known); err != nil {
		return nil, err
	}
	l := ledger{records: records}
	for _, r := range records {
		if isPublished(r) {
			next.set.Keys = append(next.set.Keys, published(next.private[r.KeyID], r.Use))
		}
		r.Sealed = nil
		next.records = append(next.records, r)
	}
	active, events := l.find(contract.KeyUseSignature, StateActive), l.find(contract.KeyUseEvents, StateActive)
	if active == nil || events == nil {
		return nil, errors.New("the store has no active signing key or no event key")
	}
	next.active, next.events = next.private[active.KeyID], next.private[events.KeyID]
	if next.verify, err = parseOwn(next.set); err != nil {
		return nil, err
	}
	if last != nil {
		next.generation = last.generation
		if !slices.EqualFunc(last.set.Keys, next.set.Keys, func(a, b contract.JWK) bool { return a.KeyID == b.KeyID }) {
			next.generation++
		}
	}
	return next, nil
}

// parseOwn reads our set as every other verifier does.
func parseOwn(set contract.JWKSet) (*token.Set, error) {
	data, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	out, err := token.ParseSet(data)
	if err != nil {
		return nil, fmt.Errorf("read own key set: %w", err)
	}
	return out, nil
}

// Run hears of other replicas' changes, retires keys whose time has come and
// rotates the active key every RotateEvery, until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for {
		pause := m.options.ReloadEvery
		pause += rand.N(pause/5 + 1) // replicas do not look together
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := m.apply(ctx, m.tend); err != nil && ctx.Err() == nil {
			m.options.Log.WarnContext(ctx, "tend signing keys", "error", err)
		}
	}
}

// tend is what time alone demands.
func (m *Manager) tend(l *ledger) error {
	l.retireDue()
	active := l.find(contract.KeyUseSignature, StateActive)
	if active != nil && !l.now.Before(active.ActivatedAt.Add(m.options.RotateEvery)) {
		return l.rotate()
	}
	return l.complete()
}
