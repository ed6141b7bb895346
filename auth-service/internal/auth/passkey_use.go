package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// boundPasskeyLogin is what the state of a sign-in by passkey is bound to.
var boundPasskeyLogin = []byte("gatehouse passkey login")

// BeginPasskeyLogin asks for a passkey of whoever is there. The token holds all
// that the second half needs, sealed, so that strangers can fill no table.
func (s *Service) BeginPasskeyLogin(context.Context) (Question, error) {
	if s.ceremonies == nil {
		return Question{}, noPasskeys()
	}
	options, state, err := s.ceremonies.BeginAssertion(nil)
	if err != nil {
		return Question{}, err
	}
	until := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(challengeTTL).UnixMicro()))
	aead := s.factorKeys.aeads[0]
	out := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(until)+len(state)+aead.Overhead())
	out[0] = sealVersion
	if _, err := io.ReadFull(s.random, out[1:]); err != nil {
		return Question{}, fmt.Errorf("draw random bytes: %w", err)
	}
	sealed := aead.Seal(out, out[1:], append(until, state...), boundPasskeyLogin)
	return Question{Token: base64.RawURLEncoding.EncodeToString(sealed), Options: options}, nil
}

// maxPasskeyToken bounds what is looked at of a token, in characters.
const maxPasskeyToken = 4096

// passkeyState opens the token of BeginPasskeyLogin.
func (s *Service) passkeyState(token string) ([]byte, error) {
	if len(token) > maxPasskeyToken {
		return nil, noChallenge(nil)
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, noChallenge(nil) // forged, and so unknown
	}
	plain, err := s.factorKeys.open(sealed, boundPasskeyLogin)
	if err != nil || len(plain) < 8 {
		return nil, noChallenge(nil)
	}
	if until := int64(binary.BigEndian.Uint64(plain)); s.now().UnixMicro() >= until {
		return nil, noChallenge(nil)
	}
	return plain[8:], nil
}

// PasskeyLogin opens a session by the browser's answer to BeginPasskeyLogin.
// Faults: InvalidCredentials, AccountLocked.
func (s *Service) PasskeyLogin(ctx context.Context, c Caller, token string, answer []byte) (Tokens, error) {
	if s.ceremonies == nil {
		return Tokens{}, noPasskeys()
	}
	state, err := s.passkeyState(token)
	if err != nil {
		return Tokens{}, err
	}
	credential, err := s.ceremonies.Credential(answer)
	if err != nil {
		return Tokens{}, err
	}
	var out issued
	_, err = s.do(ctx, c, func(w *work) error {
		known, err := w.PasskeyByCredential(ctx, credential)
		if fault.Is(err, fault.NotFound) {
			return w.unknownPasskey(ctx)
		}
		if err != nil {
			return fmt.Errorf("find passkey: %w", err)
		}
		u, err := w.LockUser(ctx, known.UserID)
		if err != nil {
			return noChallenge(err)
		}
		p, err := w.usePasskey(ctx, u, EventLogin, state, answer)
		if err != nil || p == nil {
			return err
		}
		if p.PasswordFirst {
			w.verdict = fault.New(fault.InvalidCredentials, "The password was reset: sign in with it once, and then with the passkey.")
			return w.recordRefusal(ctx, u.ID, AuditEvent{Event: EventLogin, Reason: "password_first"})
		}
		if err := w.usedOnce(ctx, u, state); err != nil {
			return err
		}
		if u.Status != contract.StatusActive {
			w.verdict = fault.New(fault.AccountLocked, "The account is locked.")
			return w.recordRefusal(ctx, u.ID, AuditEvent{Event: EventLogin, Reason: "locked"})
		}
		out, err = w.complete(ctx, u, MethodKey, MethodMFA)
		return err
	})
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, out)
}

func badPasskey() error { return fault.New(fault.InvalidCredentials, "The passkey was refused.") }

// unknownPasskey refuses a passkey that nobody has registered.
func (w *work) unknownPasskey(ctx context.Context) error {
	w.verdict = badPasskey()
	_, err := w.recordBounded(ctx, w.svc.config.Limits.Address, network(w.caller.Address),
		AuditEvent{Event: EventLogin, Outcome: OutcomeFailure, Reason: "unknown_passkey"})
	return err
}

// usedOnce makes the token of a sign-in good for nothing more.
func (w *work) usedOnce(ctx context.Context, u User, state []byte) error {
	hash := sha256.Sum256(append([]byte(u.ID+"\x00"), state...))
	_, err := w.Challenge(ctx, hash[:])
	if err == nil {
		return noChallenge(nil)
	}
	if !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("look for an earlier sign-in: %w", err)
	}
	used := Challenge{Hash: hash[:], Purpose: ChallengeUsed, UserID: u.ID, CreatedAt: w.now, ExpiresAt: w.now.Add(challengeTTL)}
	if err := w.AddChallenge(ctx, used, 1000); err != nil {
		return fmt.Errorf("remember sign-in: %w", err)
	}
	return nil
}

// usePasskey judges an answer of the user, whom the transaction has locked, and
// returns the passkey if it is good, else nil. A failure is recorded under the
// event and leaves the verdict. One that a copy may have made is refused: of two
// that hold a key, nobody can tell who is honest.
func (w *work) usePasskey(ctx context.Context, u User, event string, state, answer []byte) (*Passkey, error) {
	o, all, err := owner(ctx, w, u)
	if err != nil {
		return nil, err
	}
	use, err := w.svc.ceremonies.FinishAssertion(o, state, answer)
	if fault.Is(err, fault.InvalidCredentials) {
		w.verdict = err
		return nil, w.recordRefusal(ctx, u.ID, AuditEvent{Event: event, Reason: reasonBadPasskey})
	}
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(p Passkey) bool { return bytes.Equal(p.CredentialID, use.CredentialID) })
	if i < 0 {
		return nil, badPasskey()
	}
	p := all[i]
	if use.Cloned {
		p.Cloned = true
		w.verdict = badPasskey()
		return nil, w.cloned(ctx, u, p)
	}
	p.Record, p.LastUsedAt = use.Record, w.now
	if err := w.SavePasskey(ctx, p); err != nil {
		return nil, fmt.Errorf("note use of passkey: %w", err)
	}
	return &p, nil
}

// usePasskeyBeside is usePasskey where the password was shown before. From then
// on the passkey signs in alone.
func (w *work) usePasskeyBeside(ctx context.Context, u User, event string, state, answer []byte) (bool, error) {
	p, err := w.usePasskey(ctx, u, event, state, answer)
	if err != nil || p == nil || !p.PasswordFirst {
		return p != nil, err
	}
	p.PasswordFirst = false
	if err := w.SavePasskey(ctx, *p); err != nil {
		return false, fmt.Errorf("note use of passkey: %w", err)
	}
	return true, nil
}

// cloned notes that there may be a copy of a passkey, and tells its owner.
func (w *work) cloned(ctx context.Context, u User, p Passkey) error {
	if err := w.SavePasskey(ctx, p); err != nil {
		return fmt.Errorf("note copy of passkey: %w", err)
	}
	written, err := w.recordBounded(ctx, w.svc.config.Limits.Account, u.ID,
		AuditEvent{Event: EventPasskeyCloned, TargetID: u.ID, Outcome: OutcomeFailure, Reason: p.ID})
	if err != nil || !written {
		return err
	}
	return w.notice(ctx, u, Mail{Template: MailPasskeyCloned})
}

// AskPasskey asks for a passkey as the second step of a sign-in. The token is
// that of Login's MFARequired.
func (s *Service) AskPasskey(ctx context.Context, c Caller, mfaToken string) (Question, error) {
	if s.ceremonies == nil {
		return Question{}, noPasskeys()
	}
	var out Question
	_, err := s.do(ctx, c, func(w *work) error {
		ch, u, err := w.lockChallenge(ctx, mfaToken, ChallengeLogin)
		if err != nil {
			return err
		}
		options, state, err := w.askOwn(ctx, u)
		if err != nil {
			return err
		}
		out = Question{Token: mfaToken, Options: options}
		if err := w.SaveChallengeData(ctx, ch.Hash, state); err != nil {
			return fmt.Errorf("remember question: %w", err)
		}
		return nil
	})
	if err != nil {
		return Question{}, err
	}
	return out, nil
}

// askOwn asks for one of the user's passkeys.
func (w *work) askOwn(ctx context.Context, u User) (options, state []byte, err error) {
	o, all, err := owner(ctx, w, u)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, fault.New(fault.Conflict, "The account has no passkey.")
	}
	return w.svc.ceremonies.BeginAssertion(&o)
}

// CompleteLoginByPasskey is CompleteLogin with the browser's answer to
// AskPasskey in the place of a code.
func (s *Service) CompleteLoginByPasskey(ctx context.Context, c Caller, mfaToken string, answer []byte) (Tokens, error) {
	if s.ceremonies == nil {
		return Tokens{}, noPasskeys()
	}
	var out issued
	_, err := s.do(ctx, c, func(w *work) error {
		ch, u, err := w.lockChallenge(ctx, mfaToken, ChallengeLogin)
		if err != nil {
			return err
		}
		if len(ch.Data) == 0 {
			return noChallenge(nil) // nobody has asked for a passkey
		}
		ok, err := w.usePasskeyBeside(ctx, u, EventLogin, ch.Data, answer)
		if err != nil {
			return err
		}
		if !ok {
			return w.missed(ctx, ch)
		}
		if err := w.answered(ctx, ch); err != nil {
			return err
		}
		out, err = w.complete(ctx, u, joined(ch.Methods, []string{MethodKey, MethodMFA})...)
		return err
	})
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, out)
}

// AskStepUp asks for a passkey of the caller, for StepUpByPasskey.
func (s *Service) AskStepUp(ctx context.Context, c Caller) (Question, error) {
	if s.ceremonies == nil {
		return Question{}, noPasskeys()
	}
	var out Question
	_, err := s.do(ctx, c, func(w *work) error {
		u, session, err := w.self(ctx)
		if err != nil {
			return err
		}
		options, state, err := w.askOwn(ctx, u)
		if err != nil {
			return err
		}
		token, err := w.challenge(ctx, u, Challenge{Purpose: ChallengeStepUp, SessionID: session.ID, Data: state})
		out = Question{Token: token, Options: options}
		return err
	})
	if err != nil {
		return Question{}, err
	}
	return out, nil
}

// StepUpByPasskey is StepUp with the browser's answer to AskStepUp in the place
// of a code.
func (s *Service) StepUpByPasskey(ctx context.Context, c Caller, token string, answer []byte) (Tokens, error) {
	if s.ceremonies == nil {
		return Tokens{}, noPasskeys()
	}
	return s.stepUp(ctx, c, func(w *work, u User, session Session) ([]string, error) {
		ch, err := w.ownChallenge(ctx, token, ChallengeStepUp, session)
		if err != nil {
			return nil, err
		}
		ok, err := w.usePasskeyBeside(ctx, u, EventSteppedUp, ch.Data, answer)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, w.missed(ctx, ch)
		}
		return []string{MethodKey, MethodMFA}, w.answered(ctx, ch)
	})
}
