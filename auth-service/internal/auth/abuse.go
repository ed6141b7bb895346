package auth

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"gatehouse.internal/shared/fault"
)

// EventAttemptsCleared says that an administrator made used up tries free
// again.
const EventAttemptsCleared = "attempts_cleared"

// Suspect is whom attempts are told of: an account, a network address, or the
// tries of one for the other.
type Suspect struct {
	UserID  string
	Address string
}

// Attempts is what is known of the tries of a Suspect.
type Attempts struct {
	Bounds   []Usage
	Failures []AuditEvent // refused sign-ins, newest first, at most 50 of the last 30 days
}

// Usage is how far a bound is used up.
type Usage struct {
	Bound string
	Limit Limit
	Used  int // tries
}

// What Attempts tells of refused sign-ins.
const (
	maxFailures = 50
	failureAge  = 30 * 24 * time.Hour
)

// Attempts tells an administrator which bounds an account or a network address
// has used up, and which of its sign-ins were refused. Faults:
// InsufficientRole, ValidationFailed, NotFound.
func (s *Service) Attempts(ctx context.Context, c Caller, of Suspect) (Attempts, error) {
	bounds, err := s.suspectBounds(ctx, c, of)
	if err != nil {
		return Attempts{}, err
	}
	out := Attempts{Bounds: make([]Usage, 0, len(bounds))}
	used := s.throttle.Used(ctx, bounds)
	for i, b := range bounds {
		out.Bounds = append(out.Bounds, Usage{Bound: b.Name, Limit: b.Limit, Used: used[i]})
	}
	out.Failures, err = s.store.Audit(ctx, AuditFilter{
		TargetID: of.UserID, Address: of.Address, Event: EventLogin, Outcome: OutcomeFailure,
		From: s.now().Add(-failureAge), Limit: maxFailures,
	})
	if err != nil {
		return Attempts{}, fmt.Errorf("read refused sign-ins: %w", err)
	}
	return out, nil
}

// ClearAttempts makes the tries free again that a Suspect has used up.
func (s *Service) ClearAttempts(ctx context.Context, c Caller, of Suspect) error {
	bounds, err := s.suspectBounds(ctx, c, of)
	if err != nil {
		return err
	}
	if err := s.note(ctx, c, AuditEvent{Event: EventAttemptsCleared, TargetID: of.UserID, Reason: of.Address}, nil); err != nil {
		return err
	}
	s.throttle.Forget(ctx, bounds)
	return nil
}

func (s *Service) suspectBounds(ctx context.Context, c Caller, of Suspect) ([]Bound, error) {
	if err := s.administrator(ctx, c); err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(of.Address); err != nil && of.Address != "" {
		return nil, fault.Invalid(fault.Field{Field: "ip", Message: "is not a network address"})
	}
	if of.UserID == "" && of.Address == "" {
		return nil, fault.Invalid(fault.Field{Field: "user", Message: "or ip is required"})
	}
	l, from := s.config.Limits, network(of.Address)
	var all []Bound
	if of.UserID != "" {
		u, err := s.store.User(ctx, of.UserID)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.Wrap(fault.NotFound, "There is no such user.", err)
		}
		if err != nil {
			return nil, fmt.Errorf("read user: %w", err)
		}
		all = append(all, s.bound(BoundAccount, l.Account, u.Email))
		if of.Address != "" {
			all = append(all, s.bound(BoundPair, l.Pair, u.Email, from))
		}
	}
	if of.Address != "" {
		all = append(all, s.bound(BoundAddress, l.Address, from), s.bound(BoundSender, l.Sender, from))
	}
	return s.bounds(all...), nil
}
