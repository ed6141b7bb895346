package trail

import (
	"context"
	"errors"
	"fmt"
)

// Tidy takes deleted accounts out of the trail and forgets what is older than
// the retention.
func (k *Keeper) Tidy(ctx context.Context) error {
	return errors.Join(k.Erase(ctx), k.forget(ctx))
}

// forget deletes what is older than the retention.
func (k *Keeper) forget(ctx context.Context) error {
	if k.Retention == 0 || k.Now().Sub(k.forgot) < forgetEvery {
		return nil
	}
	now := k.Now()
	proven, err := k.prove(ctx, now.Add(-k.Retention))
	if err != nil {
		return fmt.Errorf("forget old audit events: %w", err)
	}
	if len(proven) == 0 {
		return nil
	}
	for n := 1; n > 0; {
		n, err = k.Store.CutTrail(ctx, batch, func(s State, oldest []Entry) (Mark, error) { return k.cut(s, oldest, proven) })
		if err != nil {
			return fmt.Errorf("forget old audit events: %w", err)
		}
	}
	k.forgot = now
	return nil
}

// cut returns the start of the trail, sealed, once those of the oldest entries
// are gone that are proven to be what was written, and old: like step, it puts no
// seal on what an intruder wrote, and then nothing goes.
func (k *Keeper) cut(s State, oldest []Entry, proven proof) (Mark, error) {
	if err := k.ours(s); err != nil {
		return Mark{}, err
	}
	eraser, _, err := k.Seal.unwrap(s.EraserKey)
	if err != nil {
		return Mark{}, err
	}
	start, at := s.Start, s.Start
	for i := range oldest {
		e := &oldest[i]
		if err := follows(at, e); err != nil {
			return Mark{}, err
		}
		at = Mark{Number: e.Number, Hash: e.Hash}
		hash, known := proven[e.Number]
		if _, well := eraser.wellErased(e); !well || known && hash != e.Hash {
			return Mark{}, fmt.Errorf("entry %d of the audit trail (event %s) is not what was written: run \"auth-service audit verify\"", e.Number, e.ID)
		}
		if known {
			start = at
		}
	}
	if start.Number == s.Start.Number {
		return s.Start, nil
	}
	return k.Seal.seal(placeStart, start), nil
}
