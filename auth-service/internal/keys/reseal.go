package keys

import (
	"context"
	"fmt"
	"time"
)

// Reseal encrypts the stored private keys that are encrypted under another key
// with the first one, as Open does, and changes nothing else. It returns how many
// private keys there are, and how many of them it has encrypted anew.
func Reseal(ctx context.Context, store Store, key []byte, others [][]byte) (stored, anew int, err error) {
	s, err := newSealer(key, others...)
	if err != nil {
		return 0, 0, fmt.Errorf("reseal signing keys: %w", err)
	}
	err = store.SaveKeys(ctx, func(existing []Record) ([]Record, error) {
		l := newLedger(existing, time.Time{}, 0, &minter{sealer: s})
		stored, err = s.reseal(l)
		anew = len(l.touched)
		return l.changes(), err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("reseal signing keys: %w", err)
	}
	return stored, anew, nil
}

// reseal encrypts what is stored under another key with the key in use, and
// returns how many private keys there are.
func (s sealer) reseal(l *ledger) (stored int, err error) {
	for i := range l.records {
		r := &l.records[i]
		if !isPublished(*r) {
			continue
		}
		stored++
		if s.current(*r) {
			continue
		}
		p, err := s.open(*r)
		if err != nil {
			return 0, err
		}
		if r.Sealed, err = s.seal(p, r.Use); err != nil {
			return 0, fmt.Errorf("seal key %s anew: %w", r.KeyID, err)
		}
		l.touch(r.KeyID)
	}
	return stored, nil
}
