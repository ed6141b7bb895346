package trail

import (
	"context"
	"fmt"
	"time"
)

// forgetEvery is how often the oldest entries are forgotten: the whole trail is
// read for it.
const forgetEvery = 24 * time.Hour

// proof holds the hashes of entries, by their numbers, that were found in the
// chain which leads to a head with our seal, one for each batch at least. Up to
// them the trail is what was written, whoever can work hashes out.
type proof map[uint64][32]byte

// prove reads the trail from its start to its head, and returns the proof of
// those of its oldest entries that are older than before. It reads no further
// than the first entry if that is younger.
func (k *Keeper) prove(ctx context.Context, before time.Time) (proof, error) {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return nil, fmt.Errorf("look at the audit trail: %w", err)
	}
	if err := k.ours(s); err != nil {
		return nil, err
	}
	found, at, old := proof{}, s.Start, true
	for at.Number < s.Head.Number {
		page, err := k.Store.TrailEntries(ctx, at.Number, batch)
		if err != nil {
			return nil, fmt.Errorf("read the audit trail: %w", err)
		}
		if len(page) == 0 {
			return nil, k.unlessCut(ctx, at, fmt.Errorf("entry %d of the audit trail is missing: run \"auth-service audit verify\"", at.Number+1))
		}
		var last Mark
		for i := range page {
			e := &page[i]
			if e.Number > s.Head.Number {
				break
			}
			if err := follows(at, e); err != nil {
				return nil, k.unlessCut(ctx, at, err)
			}
			at = Mark{Number: e.Number, Hash: e.Hash}
			if old = old && e.At.Before(before); old {
				last = at
			}
		}
		if last.Number > 0 {
			found[last.Number] = last.Hash
		}
		if len(found) == 0 {
			return nil, nil //nolint:nilnil // nothing is old enough
		}
	}
	if at.Hash != s.Head.Hash {
		return nil, fmt.Errorf("entry %d of the audit trail has not the hash of its head: run \"auth-service audit verify\"", at.Number)
	}
	return found, nil
}

// ours refuses marks that do not bear our seal.
func (k *Keeper) ours(s State) error {
	if !k.Seal.good(placeStart, s.Start) {
		return fmt.Errorf("the seal of the start of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Start.Number)
	}
	if !k.Seal.good(placeHead, s.Head) {
		return fmt.Errorf("the seal of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Head.Number)
	}
	return nil
}

// follows refuses an entry that is not the next one, or not what was written
// after the one before.
func follows(at Mark, e *Entry) error {
	if e.Number != at.Number+1 {
		return fmt.Errorf("entry %d of the audit trail stands where %d should: run \"auth-service audit verify\"", e.Number, at.Number+1)
	}
	if e.hash(at.Hash) != e.Hash {
		return fmt.Errorf("entry %d of the audit trail (event %s) is not what was written: run \"auth-service audit verify\"", e.Number, e.ID)
	}
	return nil
}

// unlessCut returns what was found wrong, unless another replica has forgotten
// what was being read: then there is nothing to prove for this time.
func (k *Keeper) unlessCut(ctx context.Context, at Mark, problem error) error {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return fmt.Errorf("look at the audit trail: %w", err)
	}
	if s.Start.Number > at.Number && k.Seal.good(placeStart, s.Start) {
		return nil
	}
	return problem
}
