package trail

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// Link gives every committed event its place, batch by batch, and notes that the
// trail is kept.
func (k *Keeper) Link(ctx context.Context) error {
	for {
		linked := 0
		s, err := k.Store.TrailState(ctx)
		if err != nil {
			return fmt.Errorf("look at the audit trail: %w", err)
		}
		if s.Waiting == 0 && k.settled(s) {
			return nil
		}
		err = k.Store.ChangeTrail(ctx, batch, func(s State, waiting []auth.AuditEvent) (Step, error) {
			linked = len(waiting)
			return k.step(s, waiting)
		})
		if err != nil {
			return fmt.Errorf("link audit events: %w", err)
		}
		if linked < batch {
			return nil
		}
	}
}

// settled reports whether there is nothing to write but new events.
func (k *Keeper) settled(s State) bool {
	_, current, err := k.Seal.unwrap(s.EraserKey)
	return err == nil && current && k.Seal.current(placeHead, s.Head) && k.Seal.current(placeStart, s.Start) &&
		(s.Head.Number == 0 || k.Now().Sub(k.Seal.kept(s.Kept)) < keptEvery)
}

// Reseal has seals and keys in the database be of the key that seals now. It
// links nothing.
func (k *Keeper) Reseal(ctx context.Context) error {
	err := k.Store.ChangeTrail(ctx, 0, func(s State, _ []auth.AuditEvent) (Step, error) {
		out, err := k.reseal(s)
		if at := k.Seal.kept(s.Kept); !at.IsZero() {
			out.Kept = k.Seal.keep(at)
		}
		return out, err
	})
	if err != nil {
		return fmt.Errorf("seal the audit trail anew: %w", err)
	}
	return nil
}

// step links events after the head, and first tells of it if nobody has kept
// the trail for long.
func (k *Keeper) step(s State, waiting []auth.AuditEvent) (Step, error) {
	out, err := k.reseal(s)
	if err != nil {
		return Step{}, err
	}
	now, kept := k.Now(), k.Seal.kept(s.Kept)
	if s.Head.Number > 0 && now.Sub(kept) > gap {
		e, err := k.Events.SystemEvent(auth.AuditEvent{Event: auth.EventTrailResumed, Outcome: auth.OutcomeSuccess, Reason: sinceText(kept)})
		if err != nil {
			return Step{}, err
		}
		out.New = []auth.AuditEvent{e}
	}
	if now.Before(kept) { // the clock of another replica
		now = kept
	}
	for _, e := range append(out.New, waiting...) {
		made := link(out.Head, e)
		out.Head = Mark{Number: made.Number, Hash: made.Hash}
		out.Entries = append(out.Entries, made)
	}
	if out.Head.Number > 0 {
		out.Head = k.Seal.seal(placeHead, out.Head)
		out.Kept = k.Seal.keep(now)
	}
	return out, nil
}

// sinceText is the reason of an event that tells since when the trail was not
// kept.
func sinceText(kept time.Time) string {
	if kept.IsZero() {
		return "kept_last_unknown"
	}
	return "kept_last_" + kept.UTC().Format(time.RFC3339)
}

// reseal is a step that changes nothing but seals and keys. It refuses to go on
// from what is not ours: what an intruder wrote must not get our seal.
func (k *Keeper) reseal(s State) (Step, error) {
	if !k.Seal.good(placeHead, s.Head) || !k.Seal.good(placeStart, s.Start) {
		return Step{}, fmt.Errorf("the seal of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Head.Number)
	}
	if s.Last != s.Head.Number && (s.Last != 0 || s.Head.Number != s.Start.Number) {
		return Step{}, fmt.Errorf("the audit trail ends at %d and not at %d: run \"auth-service audit verify\"", s.Last, s.Head.Number)
	}
	out := Step{Start: s.Start, Head: s.Head, Kept: s.Kept, EraserKey: s.EraserKey}
	eraser, current, err := k.Seal.unwrap(s.EraserKey)
	if err != nil {
		return Step{}, err
	}
	if len(eraser.key) == 0 {
		eraser = newEraser()
	}
	if !current {
		if out.EraserKey, err = k.Seal.wrap(eraser); err != nil {
			return Step{}, err
		}
	}
	if out.Start.Number > 0 {
		out.Start = k.Seal.seal(placeStart, out.Start)
	}
	if out.Head.Number > 0 {
		out.Head = k.Seal.seal(placeHead, out.Head)
	}
	return out, nil
}
