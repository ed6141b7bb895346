// Package keystest holds any keys.Store to its contract, and has one in memory
// for the tests of others. It is for tests alone.
package keystest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gatehouse.internal/auth-service/internal/keys"
)

// Memory is a keys.Store that forgets all when the test ends. Managers that
// share one are replicas.
type Memory struct {
	mu      sync.Mutex
	records []keys.Record
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return &Memory{} }

// Keys returns copies of all records.
func (s *Memory) Keys(ctx context.Context) ([]keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies(), nil
}

// SaveKeys decides and stores under one lock.
func (s *Memory) SaveKeys(ctx context.Context, decide func([]keys.Record) ([]keys.Record, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err := decide(s.copies())
	if err != nil {
		return err
	}
	for _, r := range changed {
		i := slices.IndexFunc(s.records, func(old keys.Record) bool { return old.KeyID == r.KeyID })
		if i < 0 {
			s.records = append(s.records, clone(r))
		} else {
			s.records[i] = clone(r)
		}
	}
	slices.SortFunc(s.records, func(a, b keys.Record) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.KeyID, b.KeyID))
	})
	return nil
}

func (s *Memory) copies() []keys.Record {
	out := make([]keys.Record, len(s.records))
	for i, r := range s.records {
		out[i] = clone(r)
	}
	return out
}

// clone copies a record as a database would give it back.
func clone(r keys.Record) keys.Record {
	r.Sealed, r.PublicJWK = slices.Clone(r.Sealed), slices.Clone(r.PublicJWK)
	for _, at := range []*time.Time{&r.CreatedAt, &r.ActivatedAt, &r.RetiredAt, &r.NotAfter} {
		*at = at.UTC().Truncate(time.Microsecond)
	}
	return r
}
