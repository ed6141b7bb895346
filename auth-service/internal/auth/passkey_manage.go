package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Bounds of passkeys.
const (
	maxPasskeys    = 20
	maxPasskeyName = 64 // characters
)

// noPasskeys is the answer where the site's address is no name.
func noPasskeys() error {
	return fault.New(fault.Conflict, "There are no passkeys here: browsers have them only for sites with a name.")
}

// owner is the user with all passkeys.
func owner(ctx context.Context, r PasskeyReader, u User) (PasskeyOwner, []Passkey, error) {
	all, err := r.Passkeys(ctx, u.ID)
	if err != nil {
		return PasskeyOwner{}, nil, fmt.Errorf("read passkeys: %w", err)
	}
	o := PasskeyOwner{UserID: u.ID, Name: u.Email}
	for _, p := range all {
		o.Records = append(o.Records, p.Record)
	}
	return o, all, nil
}

// Passkeys lists the caller's passkeys, oldest first. There are 20 at most.
func (s *Service) Passkeys(ctx context.Context, c Caller) ([]Passkey, error) {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return nil, err
	}
	_, all, err := owner(ctx, s.store, u)
	return all, err
}

// BeginPasskey asks for a new passkey of the caller. A passkey signs in alone,
// so the caller proves who it is again.
func (s *Service) BeginPasskey(ctx context.Context, c Caller, p Proof) (Question, error) {
	if s.ceremonies == nil {
		return Question{}, noPasskeys()
	}
	var out Question
	err := s.withFactor(ctx, c, EventFactorAdded, p, func(w *work, u User) error {
		o, all, err := owner(ctx, w, u)
		if err != nil {
			return err
		}
		if len(all) >= maxPasskeys {
			return fault.New(fault.Conflict, fmt.Sprintf("An account can have %d passkeys at most.", maxPasskeys))
		}
		options, state, err := s.ceremonies.BeginRegistration(o)
		if err != nil {
			return err
		}
		token, err := w.challenge(ctx, u, Challenge{Purpose: ChallengeRegister, SessionID: c.Claims.SessionID, Data: state})
		out = Question{Token: token, Options: options}
		return err
	})
	if err != nil {
		return Question{}, err
	}
	return out, nil
}

// AddPasskey takes the browser's answer to BeginPasskey. With the first factor
// of an account come recovery codes. Faults: InvalidCredentials for an answer
// or a token that is not good, which uses the token up; Conflict for a passkey
// that is known; RateLimited.
func (s *Service) AddPasskey(ctx context.Context, c Caller, token, name string, answer []byte) (Passkey, []string, error) {
	if s.ceremonies == nil {
		return Passkey{}, nil, noPasskeys()
	}
	name, err := passkeyName(name)
	if err != nil {
		return Passkey{}, nil, err
	}
	if err := s.attemptChange(ctx, c, EventFactorAdded); err != nil {
		return Passkey{}, nil, err
	}
	var out Passkey
	var codes []string
	_, err = s.do(ctx, c, func(w *work) error {
		u, session, err := w.self(ctx)
		if err != nil {
			return err
		}
		ch, err := w.ownChallenge(ctx, token, ChallengeRegister, session)
		if err != nil {
			return err
		}
		var ok bool
		if out, ok, err = w.register(ctx, u, ch, name, answer); err != nil || !ok {
			return err
		}
		if err := w.shown(ctx, &session, MethodKey, MethodMFA); err != nil {
			return err
		}
		if !u.MFAEnabled {
			if codes, err = w.makeRecoveryCodes(ctx, u); err != nil {
				return err
			}
		}
		return w.factorAdded(ctx, u, FactorPasskey)
	})
	if err != nil {
		return Passkey{}, nil, err
	}
	return out, codes, nil
}

// register adds the passkey of an answer, and reports whether the answer was
// good. One that was not leaves the verdict, and the challenge is used up: each
// try at signatures takes the password again.
func (w *work) register(ctx context.Context, u User, ch Challenge, name string, answer []byte) (Passkey, bool, error) {
	o, _, err := owner(ctx, w, u)
	if err != nil {
		return Passkey{}, false, err
	}
	made, err := w.svc.ceremonies.FinishRegistration(o, ch.Data, answer)
	bad := fault.Is(err, fault.InvalidCredentials)
	if err != nil && !bad {
		return Passkey{}, false, err
	}
	if err := w.answered(ctx, ch); err != nil {
		return Passkey{}, false, err
	}
	if bad {
		w.verdict = err
		return Passkey{}, false, w.recordRefusal(ctx, u.ID, AuditEvent{Event: EventFactorAdded, Reason: reasonBadPasskey})
	}
	p := Passkey{ID: w.newID(), UserID: u.ID, CredentialID: made.CredentialID, Record: made.Record,
		Name: name, Synced: made.Synced, CreatedAt: w.now}
	if err := w.AddPasskey(ctx, p); err != nil {
		if fault.Is(err, fault.Conflict) {
			return Passkey{}, false, fault.Wrap(fault.Conflict, "This passkey is registered already.", err)
		}
		return Passkey{}, false, fmt.Errorf("add passkey: %w", err)
	}
	return p, true, nil
}

// passkeyName gives a name as it is stored.
func passkeyName(name string) (string, error) {
	clean, err := contract.CheckName(strings.TrimSpace(name))
	if err != nil {
		return "", fault.Invalid(fault.Field{Field: "name", Message: err.Error()})
	}
	if n := utf8.RuneCountInString(clean); n == 0 || n > maxPasskeyName {
		return "", fault.Invalid(fault.Field{Field: "name", Message: fmt.Sprintf("must have 1 to %d characters", maxPasskeyName)})
	}
	return clean, nil
}

// RenamePasskey calls a passkey of the caller something else. Faults: NotFound,
// RateLimited.
func (s *Service) RenamePasskey(ctx context.Context, c Caller, id, name string) (Passkey, error) {
	name, err := passkeyName(name)
	if err != nil {
		return Passkey{}, err
	}
	if err := s.attemptChange(ctx, c, EventPasskeyRenamed); err != nil {
		return Passkey{}, err
	}
	var out Passkey
	_, err = s.do(ctx, c, func(w *work) error {
		u, _, err := w.self(ctx)
		if err != nil {
			return err
		}
		_, all, err := owner(ctx, w, u)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(p Passkey) bool { return p.ID == id })
		if i < 0 {
			return noPasskey()
		}
		out = all[i]
		out.Name = name
		if err := w.SavePasskey(ctx, out); err != nil {
			return fmt.Errorf("rename passkey: %w", err)
		}
		return w.record(ctx, AuditEvent{Event: EventPasskeyRenamed, TargetID: u.ID})
	})
	if err != nil {
		return Passkey{}, err
	}
	return out, nil
}

func noPasskey() error { return fault.New(fault.NotFound, "There is no such passkey.") }

// RemovePasskey takes a passkey of the caller away. Faults: NotFound,
// InvalidCredentials, RateLimited.
func (s *Service) RemovePasskey(ctx context.Context, c Caller, id string, p Proof) error {
	return s.withFactor(ctx, c, EventFactorRemoved, p, func(w *work, u User) error {
		had, err := w.DeletePasskey(ctx, u.ID, id)
		if err != nil {
			return fmt.Errorf("remove passkey: %w", err)
		}
		if !had {
			return noPasskey()
		}
		return w.factorRemoved(ctx, u, FactorPasskey)
	})
}
