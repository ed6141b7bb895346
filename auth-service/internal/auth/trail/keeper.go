package trail

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// Bounds of what one transaction changes, and how often a Keeper looks.
const (
	batch        = 500
	defaultLook  = time.Second
	anchorEvery  = time.Minute
	tidyEvery    = 10 * time.Minute
	erasureGrace = 24 * time.Hour // for events of the deleted account that come late
)

// AnchorMessage is the text of the log line that tells the head of the chain;
// its attributes are number and hash.
const AnchorMessage = "head of the audit trail"

// Keeper links events, takes deleted accounts out of them and forgets the
// oldest. Any number of replicas may have one. All fields but Retention and Look
// are needed.
type Keeper struct {
	Store     Store
	Seal      *Sealer
	Now       func() time.Time
	Log       *slog.Logger
	Events    Events
	Retention time.Duration // how long events are kept; 0 for ever
	Look      time.Duration // how often to look for new events; 0: a second

	told   Mark
	forgot time.Time // when it forgot what was old
}

// Events makes audit events of the system itself.
type Events interface {
	// SystemEvent completes an event with id and time.
	SystemEvent(e auth.AuditEvent) (auth.AuditEvent, error)
}

// Run keeps the trail until ctx ends. Failures are logged, at most one a minute,
// and tried again: nothing waits for them but evidence.
func (k *Keeper) Run(ctx context.Context) error {
	look := k.Look
	if look == 0 {
		look = defaultLook
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	var complained, anchored, tidied time.Time
	for {
		now := k.Now()
		err := k.Link(ctx)
		if err == nil && now.Sub(anchored) >= anchorEvery {
			anchored, err = now, k.anchor(ctx)
		}
		if err == nil && now.Sub(tidied) >= tidyEvery {
			tidied, err = now, k.Tidy(ctx)
		}
		if err != nil && ctx.Err() == nil && now.Sub(complained) >= time.Minute {
			complained = now
			k.Log.WarnContext(ctx, "the audit trail was not kept; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Link gives every committed event its place, batch by batch.
func (k *Keeper) Link(ctx context.Context) error {
	for {
		linked := 0
		s, err := k.Store.TrailState(ctx)
		if err != nil {
			return fmt.Errorf("look at the audit trail: %w", err)
		}
		if s.Waiting == 0 && k.Seal.current(placeHead, s.Head) && k.Seal.current(placeStart, s.Start) {
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

// step links events after the head. It refuses to go on from marks that are not
// ours: what an intruder wrote must not get our seal.
func (k *Keeper) step(s State, waiting []auth.AuditEvent) (Step, error) {
	if !k.Seal.good(placeHead, s.Head) || !k.Seal.good(placeStart, s.Start) {
		return Step{}, fmt.Errorf("the seal of the audit trail at %d is not ours: run \"auth-service audit verify\"", s.Head.Number)
	}
	if s.Last != s.Head.Number && (s.Last != 0 || s.Head.Number != s.Start.Number) {
		return Step{}, fmt.Errorf("the audit trail ends at %d and not at %d: run \"auth-service audit verify\"", s.Last, s.Head.Number)
	}
	out := Step{Start: s.Start, Head: s.Head}
	for _, e := range waiting {
		made := link(out.Head, e)
		out.Head = Mark{Number: made.Number, Hash: made.Hash}
		out.Entries = append(out.Entries, made)
	}
	if out.Start.Number > 0 {
		out.Start = k.Seal.seal(placeStart, out.Start)
	}
	if out.Head.Number > 0 {
		out.Head = k.Seal.seal(placeHead, out.Head)
	}
	return out, nil
}

// anchor logs the head if it is another than the one told last.
func (k *Keeper) anchor(ctx context.Context) error {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return fmt.Errorf("look at the audit trail: %w", err)
	}
	if s.Head.Number != k.told.Number && k.Seal.good(placeHead, s.Head) {
		k.Log.InfoContext(ctx, AnchorMessage, "number", s.Head.Number, "hash", hex.EncodeToString(s.Head.Hash[:]))
		k.told = s.Head
	}
	return nil
}

// Erase pseudonymises the events of deleted accounts. It can be cut off
// anywhere and goes on where it was; an account is done with once no event of
// it can come any more.
func (k *Keeper) Erase(ctx context.Context) error {
	due, err := k.Store.Erasures(ctx, batch)
	if err != nil {
		return fmt.Errorf("look for deleted accounts: %w", err)
	}
	if len(due) > 0 { // what announces their pseudonyms comes first
		if err := k.Link(ctx); err != nil {
			return err
		}
	}
	for _, x := range due {
		if err := k.erase(ctx, x); err != nil {
			return fmt.Errorf("pseudonymise audit events: %w", err)
		}
	}
	return nil
}

func (k *Keeper) erase(ctx context.Context, x Erasure) error {
	for n := batch; n == batch; {
		var err error
		if n, err = k.Store.EraseTrail(ctx, x.UserID, batch, func(e *Entry) { e.Erase(x.UserID, x.Pseudonym) }); err != nil {
			return err
		}
	}
	if k.Now().Sub(x.At) < erasureGrace {
		return nil
	}
	e, err := k.Events.SystemEvent(auth.AuditEvent{Event: auth.EventPseudonymised, TargetID: x.Pseudonym, Outcome: auth.OutcomeSuccess})
	if err != nil {
		return err
	}
	return k.Store.FinishErasure(ctx, x.UserID, e)
}
