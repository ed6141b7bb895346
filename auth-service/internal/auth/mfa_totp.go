package auth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

const (
	totpSecretSize = 20 // bytes, as many as HMAC-SHA-1 gives (RFC 4226 section 4)
	enrolmentTTL   = time.Hour
	// recentSignIn is how long after a sign-in an app is set up without the
	// password. Whoever stole a token has more of its time left than that, most
	// likely, and must not become the one who has the account's second factor.
	recentSignIn = 10 * time.Minute
)

// secondFactor reports whether the session's user has shown a second factor.
func (s *Session) secondFactor() bool { return slices.Contains(s.Methods, MethodMFA) }

// mfaRequired refuses a caller whose token does not tell of a second factor.
func mfaRequired() error {
	return fault.New(fault.MFARequired, "This needs a second factor: show it at /auth/mfa/step-up.")
}

// unshown refuses a session that has not shown the second factor which its user
// has.
func unshown(u User, s Session) error {
	if u.MFAEnabled && !s.secondFactor() {
		return mfaRequired()
	}
	return nil
}

// EnrolTOTP begins to set up an authenticator app. It counts once ConfirmTOTP
// got a code of it. The password may be empty within 10 minutes of the sign-in.
// Faults: Conflict if there is an app, MFARequired if the user has another factor
// and this session has not shown it, ValidationFailed if the password is needed,
// InvalidCredentials, RateLimited.
func (s *Service) EnrolTOTP(ctx context.Context, c Caller, password string) (Enrolment, error) {
	if err := s.attemptChange(ctx, c, EventEnrolmentStarted); err != nil {
		return Enrolment{}, err
	}
	hash := ""
	if password != "" {
		var err error
		if hash, err = s.confirm(ctx, c, EventEnrolmentStarted, password); err != nil {
			return Enrolment{}, err
		}
	}
	var out Enrolment
	_, err := s.do(ctx, c, func(w *work) error {
		u, err := w.enrolling(ctx, hash)
		if err != nil {
			return err
		}
		t, err := w.TOTP(ctx, u.ID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read authenticator app: %w", err)
		}
		if t.active() {
			return fault.New(fault.Conflict, "An authenticator app is set up already; remove it first.")
		}
		secret := make([]byte, totpSecretSize)
		w.fill(secret)
		defer clear(secret)
		if out, err = s.codes.Enrolment(u.Email, secret); err != nil {
			return err
		}
		next := TOTP{UserID: u.ID, Sealed: w.seal(secret, boundTOTP(u.ID)), CreatedAt: w.now}
		if err := w.saveTOTP(ctx, next); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventEnrolmentStarted, TargetID: u.ID, Reason: FactorTOTP})
	})
	if err != nil {
		return Enrolment{}, err
	}
	return out, nil
}

// enrolling is the caller's user, locked, if the session may set an app up: by
// the password, which matched the hash, or because it was just opened.
func (w *work) enrolling(ctx context.Context, hash string) (User, error) {
	if hash != "" {
		u, _, err := w.confirmed(ctx, hash)
		return u, err
	}
	u, session, err := w.self(ctx)
	if err == nil {
		err = unshown(u, session)
	}
	if err == nil && w.now.Sub(session.CreatedAt) > recentSignIn {
		err = fault.Invalid(fault.Field{Field: "password", Message: "is required: the sign-in was more than 10 minutes ago"})
	}
	return u, err
}

// ConfirmTOTP makes the app that EnrolTOTP began count, by a first code of it,
// and returns new recovery codes. The session has shown a second factor from
// then on. Faults: Conflict if nothing waits to be confirmed,
// InvalidCredentials, RateLimited.
func (s *Service) ConfirmTOTP(ctx context.Context, c Caller, code string) ([]string, error) {
	var codes []string
	_, err := s.do(ctx, c, func(w *work) error {
		u, session, err := w.self(ctx)
		if err != nil {
			return err
		}
		if err := unshown(u, session); err != nil {
			return err // another factor came meanwhile
		}
		t, err := w.TOTP(ctx, u.ID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read authenticator app: %w", err)
		}
		if err != nil || t.active() || w.now.Sub(t.CreatedAt) >= enrolmentTTL {
			return fault.New(fault.Conflict, "No authenticator app waits to be confirmed; begin again.")
		}
		ok, err := w.matchTOTP(ctx, u, &t, EventFactorAdded, code)
		if err != nil || !ok {
			return err
		}
		t.ConfirmedAt = w.now
		if err := w.saveTOTP(ctx, t); err != nil {
			return err
		}
		if err := w.shown(ctx, &session, MethodOTP, MethodMFA); err != nil {
			return err
		}
		if codes, err = w.makeRecoveryCodes(ctx, u); err != nil {
			return err
		}
		return w.factorAdded(ctx, u, FactorTOTP)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// shown notes in a session that its user has shown a factor. Tokens tell it
// from the next one on.
func (w *work) shown(ctx context.Context, s *Session, methods ...string) error {
	s.Methods = joined(s.Methods, methods)
	if err := w.SaveSession(ctx, *s); err != nil {
		return fmt.Errorf("note second factor in session: %w", err)
	}
	return nil
}

// forgetShown has the user's live sessions forget that a second factor was shown
// in them, but for one of them, and returns how many had known it.
func (w *work) forgetShown(ctx context.Context, userID, keep string) (int, error) {
	all, err := w.liveSessions(ctx, userID)
	if err != nil {
		return 0, err
	}
	forgot := 0
	for _, s := range all {
		if s.ID == keep || !s.secondFactor() {
			continue
		}
		s.Methods = withoutFactor(s.Methods)
		if err := w.SaveSession(ctx, s); err != nil {
			return 0, fmt.Errorf("forget second factor in session: %w", err)
		}
		forgot++
	}
	return forgot, nil
}

// factorAdded notes that the user has a further factor. With the first one no
// other session has shown any: what was shown before was of a factor that is no
// more.
func (w *work) factorAdded(ctx context.Context, u User, factor string) error {
	if !u.MFAEnabled {
		if err := w.DropChallenges(ctx, u.ID); err != nil { // what was begun without a factor ends here
			return fmt.Errorf("drop challenges: %w", err)
		}
		if _, err := w.forgetShown(ctx, u.ID, w.caller.Claims.SessionID); err != nil {
			return err
		}
	}
	u.MFAEnabled = true
	if err := w.save(ctx, &u); err != nil {
		return err
	}
	if err := w.notice(ctx, u, Mail{Template: MailFactorAdded, Data: map[string]string{DataFactor: factor}}); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventFactorAdded, TargetID: u.ID, Reason: factor})
}

// RemoveTOTP takes the authenticator app away. A session that has not shown a
// second factor shows one with the code of the proof. Faults: InvalidCredentials,
// RateLimited, NotFound if there is none.
func (s *Service) RemoveTOTP(ctx context.Context, c Caller, p Proof) error {
	return s.withFactor(ctx, c, EventFactorRemoved, p, func(w *work, u User) error {
		had, err := w.DeleteTOTP(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("remove authenticator app: %w", err)
		}
		if !had {
			return fault.New(fault.NotFound, "There is no authenticator app.")
		}
		return w.factorRemoved(ctx, u, FactorTOTP)
	})
}

// factorRemoved notes that the user has one factor less. Every other session
// shows one that is left before it counts again as one that has: somebody else
// may have shown the one that is gone, and that may be why. With the last factor
// go the recovery codes, and what this session has shown. Tokens that tell what
// is true no more are stale at once.
func (w *work) factorRemoved(ctx context.Context, u User, factor string) error {
	rest, err := w.factors(ctx, u)
	if err != nil {
		return err
	}
	own := w.caller.Claims.SessionID
	forgot, err := w.forgetShown(ctx, u.ID, own)
	if err != nil {
		return err
	}
	stale := forgot > 0
	if u.MFAEnabled = rest > 0; !u.MFAEnabled {
		stale = stale || len(w.svc.withheld(u.Roles)) > 0 // this session's tokens may name them
		if err := w.SetRecoveryCodes(ctx, u.ID, nil); err != nil {
			return fmt.Errorf("remove recovery codes: %w", err)
		}
		if _, err := w.forgetShown(ctx, u.ID, ""); err != nil {
			return err
		}
	}
	if stale {
		if err := w.raise(ctx, &u, contract.RevokeUserStale, CauseFactorRemoved); err != nil {
			return err
		}
	}
	if err := w.DropChallenges(ctx, u.ID); err != nil {
		return fmt.Errorf("drop challenges: %w", err)
	}
	if err := w.save(ctx, &u); err != nil {
		return err
	}
	if err := w.notice(ctx, u, Mail{Template: MailFactorRemoved, Data: map[string]string{DataFactor: factor}}); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventFactorRemoved, TargetID: u.ID, Reason: factor})
}

// factors counts the user's second factors. Recovery codes are none: they stand
// in for one.
func (w *work) factors(ctx context.Context, u User) (int, error) {
	t, err := w.TOTP(ctx, u.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, fmt.Errorf("read authenticator app: %w", err)
	}
	_, all, err := owner(ctx, w, u)
	if err != nil {
		return 0, err
	}
	n := len(all)
	if t.active() {
		n++
	}
	return n, nil
}
