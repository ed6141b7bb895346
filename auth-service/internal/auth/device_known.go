package auth

import (
	"context"
	"fmt"
	"time"
)

// DeviceReader reads what tells whether a device is known still.
type DeviceReader interface {
	// PasswordChangedAt returns when the password of the account with the
	// lower-cased address was changed last; the zero time if it never was, or if
	// there is no such account.
	PasswordChangedAt(ctx context.Context, email string) (time.Time, error)
}

// familiarity is how well a device is known to an account.
type familiarity int

const (
	strange  familiarity = iota // it never signed in
	outdated                    // it signed in before the password was changed
	familiar
)

// signedInHere gives the device token of a caller who opens a session of the
// user.
func (w *work) signedInHere(u User) string {
	d, known := w.svc.devices.read(w.caller.Device, w.now)
	if !known {
		w.fill(d.id[:])
	}
	return w.svc.devices.write(w.svc.devices.with(d, u.Email, w.now), w.now)
}

// device tells on which device the caller is, and how well the account knows it.
// Nothing is read for a device that did not sign in to it, so that the time
// tells strangers nothing.
func (s *Service) device(ctx context.Context, r DeviceReader, c Caller, email string) (device, familiarity, error) {
	d, ok := s.devices.read(c.Device, s.now())
	if !ok {
		return device{}, strange, nil
	}
	account, ok := s.devices.find(d, email)
	if !ok {
		return d, strange, nil
	}
	changed, err := r.PasswordChangedAt(ctx, email)
	if err != nil {
		return d, strange, fmt.Errorf("look for a change of the password: %w", err)
	}
	if !changed.IsZero() && account.at < seconds(changed) {
		return d, outdated, nil
	}
	return d, familiar, nil
}
