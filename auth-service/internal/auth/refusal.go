package auth

import (
	"context"

	"gatehouse.internal/shared/fault"
)

// Names of bounds on what is refused, not on what is tried: the secrets behind
// it cannot be guessed, so whoever has the right one is let in however many
// wrong ones came from the same place.
const (
	BoundClient  = "client"  // wrong credentials of clients from one network address
	BoundTrail   = "trail"   // events of one kind that somebody can cause at will
	BoundChanges = "changes" // what a session does to its user's second factors
)

// refuse answers somebody who showed no good credentials, and writes that down.
// It is counted first: beyond the bounds the answer is fault.RateLimited, and
// one event a minute says so.
func (s *Service) refuse(ctx context.Context, c Caller, bounds []Bound, e AuditEvent, answer error) error {
	v := s.throttle.Take(ctx, bounds)
	if v.Allowed {
		return s.note(ctx, c, e, answer)
	}
	if !v.Fresh {
		return tooMany(v)
	}
	e.Reason = throttled(v)
	return s.note(ctx, c, e, tooMany(v))
}

// tooMany is the answer to a try that a bound does not allow.
func tooMany(v Verdict) error {
	f := fault.New(fault.RateLimited, "There were too many attempts; try again later.")
	f.RetryAfter = v.RetryAfter
	return f
}

// throttled is the reason of the one event a minute that stands for all that a
// bound kept out.
func throttled(v Verdict) string { return "throttled_" + v.Bound.Name }

// refuseClient answers wrong credentials of a client.
func (s *Service) refuseClient(ctx context.Context, c Caller) error {
	bounds := s.bounds(s.bound(BoundClient, s.config.Limits.Address, network(c.Address)))
	return s.refuse(ctx, c, bounds, AuditEvent{Event: EventClientRefused, Reason: "bad_credentials"}, badClient())
}

// recordBounded records an event that whoever causes it can cause again and
// again, such as by a refresh token of a session that has ended. So many are
// written as the limit says, of the kind and about the same account, session or
// address; then one a minute. Each replica counts its own: the transaction holds
// locks, and waits for no other server. It reports whether the event was written.
func (w *work) recordBounded(ctx context.Context, l Limit, about string, e AuditEvent) (bool, error) {
	b := w.svc.bound(BoundTrail, l, e.Event, about)
	v, known := w.counted[b.Key]
	if !known {
		v = w.svc.throttle.TakeHere(w.svc.bounds(b))
		w.counted[b.Key] = v
	}
	if !v.Allowed {
		if !v.Fresh {
			return false, nil
		}
		e.Reason = throttled(v)
	}
	return true, w.record(ctx, e)
}

// recordRefusal is recordBounded for a failure of somebody to be let into the
// user's account.
func (w *work) recordRefusal(ctx context.Context, userID string, e AuditEvent) error {
	e.TargetID, e.Outcome = userID, OutcomeFailure
	_, err := w.recordBounded(ctx, w.svc.config.Limits.Account, userID, e)
	return err
}

// attemptChange counts what a signed-in user does to the own account that leaves
// an event or a letter each time. It is counted by the session, so that whoever
// has stolen one stops nobody else. Fault: RateLimited.
func (s *Service) attemptChange(ctx context.Context, c Caller, event string) error {
	if c.Claims == nil {
		return noToken()
	}
	_, err := s.attempt(ctx, c, event, s.bounds(s.bound(BoundChanges, s.config.Limits.Sender, c.Claims.SessionID)))
	return err
}
