package revocation

import (
	"context"
	"errors"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// The limits of view age.
const (
	// SoftLimit is the view age up to which memory alone decides.
	SoftLimit = time.Second
	// DefaultMaxStaleness is how old knowledge may be where a route says nothing.
	DefaultMaxStaleness = 30 * time.Second
)

// Opinion is what a second source knows of a token, and how old its knowledge
// is.
type Opinion struct {
	Verdict Verdict
	Age     time.Duration
}

// SecondOpinion is asked when the view is too old. An error means that it
// knows nothing.
type SecondOpinion interface {
	Ask(ctx context.Context, c *contract.Claims, epoch uint64) (Opinion, error)
}

// Checker decides whether a verified token may pass.
type Checker struct {
	View    *View
	Second  SecondOpinion // may be nil
	Metrics *Metrics
}

// Check returns nil for a token that is not revoked, as far as knowledge no
// older than maxStaleness can tell. It returns a fault of kind TokenRevoked or
// TokenStale for one that is, and RevocationStateUnknown if no knowledge is
// fresh enough. While the view is younger than SoftLimit it makes no network
// call and allocates nothing.
func (c *Checker) Check(ctx context.Context, claims *contract.Claims, maxStaleness time.Duration) error {
	// The age is read first: what is added to the set afterwards only helps.
	age, known := c.View.Progress.Age()
	if err := refusal(c.View.Set.Check(claims)); err != nil {
		return err
	}
	if known && age <= min(SoftLimit, maxStaleness) {
		return nil
	}
	return c.degraded(ctx, claims, degradedBy{age: age, known: known, limit: maxStaleness})
}

type degradedBy struct {
	age   time.Duration
	known bool
	limit time.Duration
}

// degraded asks the second opinion; the better of the two ages counts.
func (c *Checker) degraded(ctx context.Context, claims *contract.Claims, d degradedBy) error {
	opinion, err := c.ask(ctx, claims)
	if err == nil {
		if err := refusal(opinion.Verdict); err != nil {
			c.remember(claims, opinion.Verdict)
			c.Metrics.degradedCheck("refused")
			return err
		}
		if opinion.Age <= d.limit {
			c.Metrics.degradedCheck("second_opinion")
			return nil
		}
	}
	if d.known && d.age <= d.limit {
		c.Metrics.degradedCheck("view")
		return nil
	}
	c.Metrics.degradedCheck("unknown")
	unknown := fault.Wrap(fault.RevocationStateUnknown, "This node cannot tell at the moment whether the token is revoked.", err)
	unknown.RetryAfter = time.Second
	return unknown
}

// outlives is how much longer than its token an entry is kept that the second
// opinion gave: the leeway of verifiers, and what clocks may differ by.
const outlives = 30*time.Second + 5*time.Minute

// remember adds to the view what the second opinion holds against a token.
// Without that, a view that becomes fresh again as of a moment just before the
// revocation would accept what this node has refused already (I5).
func (c *Checker) remember(claims *contract.Claims, v Verdict) {
	e := contract.Entry{Kind: contract.RevokeToken, Subject: claims.Refs.Token, ExpiresAt: claims.ExpiresAt.Add(outlives)}
	if v == Stale { // the next version may be good
		e.Kind, e.Subject, e.MinVersion = contract.RevokeUserStale, claims.Refs.User, claims.Version+1
	}
	c.View.Set.Add(&e)
}

var errNoSecond = errors.New("no second opinion is configured")

func (c *Checker) ask(ctx context.Context, claims *contract.Claims) (Opinion, error) {
	if c.Second == nil {
		return Opinion{}, errNoSecond
	}
	return c.Second.Ask(ctx, claims, c.View.Progress.Position().Epoch)
}

// Ready is nil if the node knows enough to serve routes with the default
// staleness: from its view, or from the second opinion. A cold node is not
// ready before its first covered head.
func (c *Checker) Ready(ctx context.Context) error {
	age, known := c.View.Progress.Age()
	if !known {
		return errors.New("the revocation view has not been complete yet")
	}
	if age <= DefaultMaxStaleness {
		return nil
	}
	opinion, err := c.ask(ctx, &contract.Claims{})
	if err != nil {
		return errors.Join(errors.New("the revocation view is too old"), err)
	}
	if opinion.Age > DefaultMaxStaleness {
		return errors.New("the revocation view and the second opinion are too old")
	}
	return nil
}

var (
	errRevoked = fault.New(fault.TokenRevoked, "The token, its session, its user's tokens or its key was revoked.")
	errStale   = fault.New(fault.TokenStale, "The user's roles or state changed; refresh to get a good token.")
)

// refusal gives the shared, never changed error of a verdict, so that refusing
// allocates nothing either.
func refusal(v Verdict) error {
	switch v {
	case Revoked:
		return errRevoked
	case Stale:
		return errStale
	}
	return nil
}
