package auth

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"

	"gatehouse.internal/shared/fault"
)

// Names of bounds, for metrics and the audit trail.
const (
	BoundPair    = "account_and_address"
	BoundAccount = "account"
	BoundAddress = "address"
	BoundDevice  = "device"
	BoundDevices = "earlier_devices"
	BoundConfirm = "confirmation"
	BoundSender  = "letters"
	BoundRefresh = "refresh"
)

// attempt is one try of a password, counted before the password is looked at,
// so that N at once count N.
type attempt struct {
	svc    *Service
	bounds []Bound
}

// attemptLogin counts a sign-in. A device that signed in to the account before
// has an allowance of its own, all of those together that did so with an earlier
// password have one besides; everybody else is bound by account and network
// address, by account, and by network address. It tells strangers nothing of
// whether there is such an account. Fault: RateLimited.
func (s *Service) attemptLogin(ctx context.Context, c Caller, email string) (attempt, error) {
	bounds, err := s.loginBounds(ctx, c, foldEmail(email))
	if err != nil {
		return attempt{}, err
	}
	return s.attempt(ctx, c, EventLogin, bounds)
}

func (s *Service) loginBounds(ctx context.Context, c Caller, email string) ([]Bound, error) {
	d, known, err := s.device(ctx, s.store, c, email)
	if err != nil {
		return nil, err
	}
	l, from := s.config.Limits, network(c.Address)
	own := s.bound(BoundDevice, l.Device, email, string(d.id[:]))
	switch known {
	case familiar:
		return s.bounds(own), nil
	case outdated:
		return s.bounds(own, s.bound(BoundDevices, l.Account, email)), nil
	default:
		return s.bounds(s.bound(BoundPair, l.Pair, email, from), s.bound(BoundAccount, l.Account, email),
			s.bound(BoundAddress, l.Address, from)), nil
	}
}

// attemptConfirm counts a password that a signed-in user gives again. It is
// counted by the session: whoever has stolen one stops nobody else.
func (s *Service) attemptConfirm(ctx context.Context, c Caller, event string) (attempt, error) {
	return s.attempt(ctx, c, event, s.bounds(s.bound(BoundConfirm, s.config.Limits.Confirm, c.Claims.SessionID)))
}

// attemptLetter counts a letter that a stranger, or a signed-in user, has sent
// to somebody. Nothing gives it back: the answer must not tell whether a letter
// left. Fault: RateLimited.
func (s *Service) attemptLetter(ctx context.Context, c Caller, event string) error {
	by := network(c.Address)
	if c.Claims != nil {
		by = c.Claims.Subject
	}
	_, err := s.attempt(ctx, c, event, s.bounds(s.bound(BoundSender, s.config.Limits.Sender, by)))
	return err
}

func (s *Service) attempt(ctx context.Context, c Caller, event string, bounds []Bound) (attempt, error) {
	v := s.throttle.Take(ctx, bounds)
	if v.Allowed {
		return attempt{svc: s, bounds: bounds}, nil
	}
	if !v.Fresh {
		return attempt{}, tooMany(v)
	}
	e := AuditEvent{Event: event, Reason: throttled(v)}
	if c.Claims != nil {
		e.TargetID = c.Claims.Subject
	}
	return attempt{}, s.note(ctx, c, e, tooMany(v))
}

// settle gives the try back unless it came out that the password was wrong. A
// caller that went away without waiting for the answer gets nothing back: its
// hash was worked out.
func (a attempt) settle(ctx context.Context, err error) {
	if fault.Is(err, fault.InvalidCredentials) || err != nil && ctx.Err() != nil || len(a.bounds) == 0 {
		return
	}
	a.svc.throttle.Return(context.WithoutCancel(ctx), a.bounds)
}

// bound makes the bound of a limit for whom the parts stand for. Its key is an
// HMAC, because it leaves for a server that need not know addresses.
func (s *Service) bound(name string, l Limit, parts ...string) Bound {
	text := strings.Join(append([]string{name}, parts...), "\x00")
	return Bound{Name: name, Limit: l, Key: name + ":" + hex.EncodeToString(keyed(s.boundKey, text)[:16])}
}

// bounds leaves out those that bound nothing.
func (s *Service) bounds(all ...Bound) []Bound {
	kept := make([]Bound, 0, len(all))
	for _, b := range all {
		if b.Tries > 0 {
			kept = append(kept, b)
		}
	}
	return kept
}

// network is what counts as one network address: a whole /64 of IPv6, which is
// what one subscriber gets, and a single address of IPv4 (S-P17). Texts that
// are no address count as one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
