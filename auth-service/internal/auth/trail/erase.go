package trail

import (
	"context"
	"errors"
	"fmt"

	"gatehouse.internal/auth-service/internal/auth"
)

// Erase pseudonymises the events of deleted accounts. It can be cut off
// anywhere and goes on where it was; an account is done with once no event of
// it can come any more. Orders that the service has not given are left alone,
// and are an error.
func (k *Keeper) Erase(ctx context.Context) error {
	var (
		after   auth.Erasure
		eraser  eraser
		refused int
	)
	for first := true; ; first = false {
		due, err := k.Store.Erasures(ctx, after, batch)
		if err != nil {
			return fmt.Errorf("look for deleted accounts: %w", err)
		}
		if first && len(due) > 0 { // what announces their pseudonyms comes first
			if err := k.Link(ctx); err != nil {
				return err
			}
			if eraser, err = k.eraser(ctx); err != nil {
				return err
			}
		}
		for _, x := range due {
			after = x
			if !k.Events.Ordered(x) {
				refused++
				continue
			}
			if err := k.erase(ctx, eraser, x); err != nil {
				return fmt.Errorf("pseudonymise audit events: %w", err)
			}
		}
		if len(due) < batch {
			break
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d orders to pseudonymise an account were not given by this service: somebody has written to the table audit_erasures", refused)
	}
	return nil
}

// eraser is the one of this trail.
func (k *Keeper) eraser(ctx context.Context) (eraser, error) {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return eraser{}, fmt.Errorf("look at the audit trail: %w", err)
	}
	x, _, err := k.Seal.unwrap(s.EraserKey)
	if err == nil && len(x.key) == 0 {
		err = errors.New("the key of the pseudonyms in the audit trail is gone")
	}
	return x, err
}

func (k *Keeper) erase(ctx context.Context, by eraser, x auth.Erasure) (err error) {
	for after := uint64(0); ; {
		if after, err = k.Store.EraseTrail(ctx, x.UserID, after, batch, func(e *Entry) bool { return by.erase(e, x) }); err != nil {
			return err
		}
		if after == 0 {
			break
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
