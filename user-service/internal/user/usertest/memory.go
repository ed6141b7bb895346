// Package usertest holds the contract that every user.Store is held to, and a
// store in memory, itself held to it, for tests of the rules and of adapters.
// It decides nothing, promises to fail a test that a store breaks the contract
// of, and refuses nothing.
package usertest

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
)

// Memory is a user.Store that forgets everything with the process. Its zero
// value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	records map[string]user.Record
	down    error
}

// SetDown makes every call fail with err, until it is called with nil.
func (m *Memory) SetDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// Records returns all records, deleted ones too, by id.
func (m *Memory) Records() map[string]user.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]user.Record, len(m.records))
	for id, r := range m.records {
		all[id] = clone(r)
	}
	return all
}

// Find returns the record of an account.
func (m *Memory) Find(_ context.Context, id string) (user.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return user.Record{}, m.down
	}
	r, ok := m.records[id]
	if !ok {
		return user.Record{}, fault.New(fault.NotFound, "There is no such account.")
	}
	return clone(r), nil
}

// Change replaces the record of an account by what fn makes of it.
func (m *Memory) Change(_ context.Context, id string, fn func(user.Record) (user.Record, error)) (user.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return user.Record{}, m.down
	}
	before := m.records[id]
	next, err := fn(clone(before))
	if err != nil {
		return user.Record{}, err
	}
	if !reflect.DeepEqual(before, next) {
		if m.records == nil {
			m.records = make(map[string]user.Record)
		}
		m.records[id] = clone(next)
	}
	return next, nil
}

// List returns the records that the filter lets through.
func (m *Memory) List(_ context.Context, f user.Filter) ([]user.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	var found []user.Record
	for _, r := range m.records {
		if passes(&r, f) {
			found = append(found, clone(r))
		}
	}
	slices.SortFunc(found, func(a, b user.Record) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return found[:min(f.Limit, len(found))], nil
}

// passes reports whether the filter lets the record through.
func passes(r *user.Record, f user.Filter) bool {
	behind := cmp.Or(r.CreatedAt.Compare(f.After.CreatedAt), strings.Compare(r.ID, f.After.ID)) > 0
	return r.Status != contract.StatusDeleted &&
		(f.After.ID == "" || behind) &&
		(f.Status == "" || r.Status == f.Status) &&
		(f.Role == "" || slices.Contains(r.Roles, f.Role)) &&
		strings.Contains(r.SearchText(), user.Fold(f.Query))
}

// clone copies what the record points to, so that no caller can change what is
// kept.
func clone(r user.Record) user.Record {
	copied := r
	if r.Roles != nil {
		copied.Roles = append([]string{}, r.Roles...)
	}
	for _, name := range []**string{&copied.FirstName, &copied.LastName} {
		if *name != nil {
			text := **name
			*name = &text
		}
	}
	return copied
}

// Text renders a record so that two can be compared byte for byte.
func Text(r user.Record) string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
