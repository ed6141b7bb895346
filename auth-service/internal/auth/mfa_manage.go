package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse.internal/shared/fault"
)

// Proof is shown again before second factors change: the password, and a code
// from a session that has not shown a second factor.
type Proof struct{ Password, Code string }

// withFactor runs a change of the caller's second factors once the proof was
// shown. A failure is recorded under the event.
func (s *Service) withFactor(ctx context.Context, c Caller, event string, p Proof, change func(*work, User) error) error {
	asked, _, err := s.self(ctx, c)
	if err != nil {
		return err
	}
	if err := s.confirmPassword(ctx, c, asked, event, p.Password); err != nil {
		return err
	}
	if err := s.attemptChange(ctx, c, event); err != nil {
		return err
	}
	_, err = s.do(ctx, c, func(w *work) error {
		u, session, err := w.unchanged(ctx, asked.PasswordHash)
		if err != nil {
			return err
		}
		if u.MFAEnabled && !session.secondFactor() {
			if shown, err := w.checkCode(ctx, u, event, p.Code); err != nil || shown == nil {
				return err
			}
		}
		return change(w, u)
	})
	return err
}

// Factors tells the caller which second factors the account has.
func (s *Service) Factors(ctx context.Context, c Caller) (Factors, error) {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return Factors{}, err
	}
	out := Factors{Enabled: u.MFAEnabled, RequiredFor: s.withheld(u.Roles)}
	t, err := s.store.TOTP(ctx, u.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Factors{}, fmt.Errorf("read authenticator app: %w", err)
	}
	out.TOTP = t.active()
	_, all, err := owner(ctx, s.store, u)
	if err != nil {
		return Factors{}, err
	}
	out.Passkeys = len(all)
	if out.RecoveryCodes, err = s.store.RecoveryCodes(ctx, u.ID); err != nil {
		return Factors{}, fmt.Errorf("count recovery codes: %w", err)
	}
	return out, nil
}

// NewRecoveryCodes replaces the caller's recovery codes. Faults: Conflict
// without a second factor, InvalidCredentials, RateLimited.
func (s *Service) NewRecoveryCodes(ctx context.Context, c Caller, p Proof) ([]string, error) {
	var codes []string
	err := s.withFactor(ctx, c, EventRecoveryCodesMade, p, func(w *work, u User) (err error) {
		if !u.MFAEnabled {
			return noFactor()
		}
		if codes, err = w.makeRecoveryCodes(ctx, u); err != nil {
			return err
		}
		return w.notice(ctx, u, Mail{Template: MailRecoveryCodesMade})
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

func noFactor() error {
	return fault.New(fault.Conflict, "The account has no second factor; set one up first.")
}

// StepUp shows a second factor in a session that has not shown one yet. The
// answer has a new access token for the same session, which expires with the
// caller's, and no refresh token: the one that the client has stays good. So
// nobody who has an access token alone lives on by it. Faults: Conflict without a
// second factor, and in a session that has shown one, whose next refresh gives a
// token that tells; InvalidCredentials, RateLimited.
func (s *Service) StepUp(ctx context.Context, c Caller, code string) (Tokens, error) {
	return s.stepUp(ctx, c, func(w *work, u User, _ Session) ([]string, error) {
		return w.checkCode(ctx, u, EventSteppedUp, code)
	})
}

func (s *Service) stepUp(ctx context.Context, c Caller, show func(*work, User, Session) ([]string, error)) (Tokens, error) {
	var out issued
	_, err := s.do(ctx, c, func(w *work) error {
		u, session, err := w.self(ctx)
		if err != nil {
			return err
		}
		if !w.now.Before(c.Claims.ExpiresAt) { // let in by a verifier's leeway
			return fault.New(fault.TokenExpired, "The access token has expired.")
		}
		if !u.MFAEnabled {
			return noFactor()
		}
		shown, err := show(w, u, session)
		if err != nil || shown == nil {
			return err
		}
		if session.secondFactor() { // also by a factor that the caller set up
			return fault.New(fault.Conflict, "The session has shown a second factor already: refresh the token.")
		}
		session.Methods = joined(session.Methods, shown)
		out = w.issue(u, &session, refreshToken{})
		out.claims.ExpiresAt = earlier(out.claims.ExpiresAt, c.Claims.ExpiresAt)
		if err := w.shown(ctx, &session); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventSteppedUp, TargetID: u.ID})
	})
	if err != nil {
		return Tokens{}, err
	}
	t, err := s.tokens(ctx, out)
	t.RefreshToken = ""
	return t, err
}

// ResetFactors takes all second factors of a user away, who has lost them, and
// ends the user's sessions. Doing it again is no error.
func (s *Service) ResetFactors(ctx context.Context, c Caller, userID string) error {
	_, err := s.administer(ctx, c, userID, func(w *work, u User) error { return w.resetFactors(ctx, u, "") })
	return err
}

func (w *work) resetFactors(ctx context.Context, u User, reason string) error {
	if !u.MFAEnabled {
		w.repeated(u.ID)
		return nil
	}
	if err := w.dropFactors(ctx, u.ID); err != nil {
		return err
	}
	u.MFAEnabled = false
	if err := w.signOut(ctx, &u, CauseFactorsReset); err != nil {
		return err
	}
	if err := w.save(ctx, &u); err != nil {
		return err
	}
	if err := w.notice(ctx, u, Mail{Template: MailFactorsReset}); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventFactorsReset, TargetID: u.ID, Reason: reason})
}

// CauseFactorsReset is why the sessions of a user ended whose second factors an
// administrator has reset.
const CauseFactorsReset = "mfa_reset"

func (w *work) dropFactors(ctx context.Context, userID string) error {
	_, err := w.DeleteTOTP(ctx, userID)
	err = errors.Join(err, w.DeletePasskeys(ctx, userID), w.SetRecoveryCodes(ctx, userID, nil), w.DropChallenges(ctx, userID))
	if err != nil {
		return fmt.Errorf("remove second factors: %w", err)
	}
	return nil
}

// withheld are the roles among these that count with a second factor only: they
// are configured so, or inherit from one that is.
func (s *Service) withheld(roles []string) []string {
	var out []string
	for _, r := range roles {
		if slices.ContainsFunc(s.config.MFARoles, func(listed string) bool { return s.config.Roles.Is(r, listed) }) {
			out = append(out, r)
		}
	}
	return out
}

// methodsNow is what tokens of the session tell as "amr". Who has removed the
// last second factor is taken for nobody with one, whatever was shown earlier.
func methodsNow(u User, s Session) []string {
	if u.MFAEnabled {
		return s.Methods
	}
	return withoutFactor(s.Methods)
}

// withoutFactor is "amr" that does not tell of a second factor.
func withoutFactor(methods []string) []string {
	return slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == MethodMFA })
}

// split divides a user's roles into those that a token of the session names,
// and those that it would name after a second factor.
func (w *work) split(u User, s Session) (named, withheld []string) {
	if s.secondFactor() {
		return u.Roles, nil
	}
	withheld = w.svc.withheld(u.Roles)
	for _, r := range u.Roles {
		if !slices.Contains(withheld, r) {
			named = append(named, r)
		}
	}
	return named, withheld
}
