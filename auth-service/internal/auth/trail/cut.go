package trail

import (
	"context"
	"fmt"
	"time"
)

// Tidy takes deleted accounts out of the trail and forgets what is older than
// the retention.
func (k *Keeper) Tidy(ctx context.Context) error {
	if err := k.Erase(ctx); err != nil {
		return err
	}
	if k.Retention == 0 {
		return nil
	}
	before := k.Now().Add(-k.Retention)
	for {
		n, err := k.Store.CutTrail(ctx, batch, func(s State, oldest []Entry) (Mark, error) { return k.cut(s, oldest, before) })
		if err != nil {
			return fmt.Errorf("forget old audit events: %w", err)
		}
		if n < batch {
			return nil
		}
	}
}

// cut returns the start of the trail, sealed, once those of the oldest entries
// are gone that are older than before. Their age is believed only of entries
// that are what was written: like step, it puts no seal on what an intruder
// wrote, and then nothing goes.
func (k *Keeper) cut(s State, oldest []Entry, before time.Time) (Mark, error) {
	if !k.Seal.good(placeStart, s.Start) {
		return Mark{}, fmt.Errorf("the seal of the start of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Start.Number)
	}
	if !k.Seal.good(placeHead, s.Head) {
		return Mark{}, fmt.Errorf("the seal of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Head.Number)
	}
	start := s.Start
	for i := range oldest {
		e := &oldest[i]
		if e.Number != start.Number+1 || e.Number > s.Head.Number {
			return Mark{}, fmt.Errorf("entry %d of the audit trail stands where %d should: run \"auth-service audit verify\"", e.Number, start.Number+1)
		}
		_, well := e.wellErased()
		if !well || e.hash(start.Hash) != e.Hash || e.Number == s.Head.Number && e.Hash != s.Head.Hash {
			return Mark{}, fmt.Errorf("entry %d of the audit trail (event %s) is not what was written: run \"auth-service audit verify\"", e.Number, e.ID)
		}
		if !e.At.Before(before) {
			break
		}
		start = Mark{Number: e.Number, Hash: e.Hash}
	}
	if start.Number == s.Start.Number {
		return s.Start, nil
	}
	return k.Seal.seal(placeStart, start), nil
}
