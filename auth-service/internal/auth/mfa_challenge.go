package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Bounds of challenges.
const (
	challengeTTL      = 5 * time.Minute
	challengesPerUser = 10
	challengeAttempts = 5
	challengeSize     = 32 // bytes
)

// challenge stores a challenge for the user and returns its token.
func (w *work) challenge(ctx context.Context, u User, c Challenge) (string, error) {
	secret := make([]byte, challengeSize)
	w.fill(secret)
	raw := base64.RawURLEncoding.EncodeToString(secret)
	c.Hash, c.UserID, c.Version = mailHash(raw), u.ID, u.Version
	c.CreatedAt, c.ExpiresAt = w.now, w.now.Add(challengeTTL)
	if err := w.AddChallenge(ctx, c, challengesPerUser); err != nil {
		return "", fmt.Errorf("add challenge: %w", err)
	}
	return raw, nil
}

// askFactor answers the right password of a user who has a second factor: the
// fault holds what the client needs for the second step.
func (w *work) askFactor(ctx context.Context, u User, methods ...string) error {
	token, err := w.challenge(ctx, u, Challenge{Purpose: ChallengeLogin, Methods: methods})
	if err != nil {
		return err
	}
	ways, err := w.ways(ctx, u)
	if err != nil {
		return err
	}
	f := fault.New(fault.MFARequired, "A second factor is needed to sign in.")
	f.Extra = map[string]any{"mfa_token": token, "methods": ways}
	w.verdict = f
	_, err = w.recordBounded(ctx, w.svc.config.Limits.Account, u.ID, AuditEvent{Event: EventFactorAsked, ActorID: u.ID, TargetID: u.ID})
	return err
}

// ways are the user's ways to show a second factor.
func (w *work) ways(ctx context.Context, u User) ([]string, error) {
	ways := []string{}
	t, err := w.TOTP(ctx, u.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, fmt.Errorf("read authenticator app: %w", err)
	}
	if err == nil && t.active() {
		ways = append(ways, FactorTOTP)
	}
	_, all, err := owner(ctx, w, u)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 && w.svc.ceremonies != nil {
		ways = append(ways, FactorPasskey)
	}
	left, err := w.RecoveryCodes(ctx, u.ID)
	if err != nil {
		return nil, fmt.Errorf("count recovery codes: %w", err)
	}
	if left > 0 {
		ways = append(ways, FactorRecovery)
	}
	return ways, nil
}

// lockChallenge returns a challenge that is good for the purpose, and its user,
// whose lock the transaction then holds.
func (w *work) lockChallenge(ctx context.Context, raw, purpose string) (Challenge, User, error) {
	hash := mailHash(raw)
	c, err := w.Challenge(ctx, hash)
	if err != nil {
		return Challenge{}, User{}, noChallenge(err)
	}
	u, err := w.LockUser(ctx, c.UserID)
	if err != nil {
		return Challenge{}, User{}, noChallenge(err)
	}
	if c, err = w.Challenge(ctx, hash); err != nil { // as it is now that nobody else can take it
		return Challenge{}, User{}, noChallenge(err)
	}
	if c.Purpose != purpose || !w.now.Before(c.ExpiresAt) || c.Version != u.Version || u.Status != contract.StatusActive {
		return Challenge{}, User{}, noChallenge(nil)
	}
	return c, u, nil
}

// ownChallenge returns a challenge that is good for the purpose in a session,
// whose user the transaction has locked. It locks nobody: with the token of
// somebody else a caller could have two users locked, in an order of its own,
// and stop both.
func (w *work) ownChallenge(ctx context.Context, raw, purpose string, s Session) (Challenge, error) {
	c, err := w.Challenge(ctx, mailHash(raw))
	if err != nil || c.UserID != s.UserID || c.SessionID != s.ID {
		return Challenge{}, noChallenge(err)
	}
	c, _, err = w.lockChallenge(ctx, raw, purpose)
	return c, err
}

// noChallenge is the one answer to every token of a challenge that is not good.
func noChallenge(err error) error {
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read challenge: %w", err)
	}
	return fault.New(fault.InvalidCredentials, "The sign-in took too long or was begun anew; begin again.")
}

// answered uses a challenge up.
func (w *work) answered(ctx context.Context, c Challenge) error {
	taken, err := w.TakeChallenge(ctx, c.Hash)
	if err != nil {
		return fmt.Errorf("take challenge: %w", err)
	}
	if !taken {
		return noChallenge(nil)
	}
	return nil
}

// missed counts a wrong answer; after too many the challenge is gone.
func (w *work) missed(ctx context.Context, c Challenge) error {
	if c.Attempts++; c.Attempts >= challengeAttempts {
		return w.answered(ctx, c)
	}
	if err := w.SaveAttempts(ctx, c.Hash, c.Attempts); err != nil {
		return fmt.Errorf("count wrong answers: %w", err)
	}
	return nil
}

// CompleteLogin is the second step of a sign-in: the token of Login's
// MFARequired and a code of the authenticator app or a recovery code. Faults:
// InvalidCredentials for a wrong code and for a token that is not good,
// RateLimited after many wrong codes.
func (s *Service) CompleteLogin(ctx context.Context, c Caller, mfaToken, code string) (Tokens, error) {
	var out issued
	_, err := s.do(ctx, c, func(w *work) error {
		ch, u, err := w.lockChallenge(ctx, mfaToken, ChallengeLogin)
		if err != nil {
			return err
		}
		shown, err := w.checkCode(ctx, u, EventLogin, code)
		if err != nil {
			return err
		}
		if shown == nil {
			return w.missed(ctx, ch)
		}
		if err := w.answered(ctx, ch); err != nil {
			return err
		}
		out, err = w.complete(ctx, u, joined(ch.Methods, shown)...)
		return err
	})
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, out)
}

// complete opens the session of a user who has shown all that is needed.
func (w *work) complete(ctx context.Context, u User, methods ...string) (issued, error) {
	u.LastLoginAt = w.now
	if err := w.save(ctx, &u, contract.AccountSignedIn); err != nil {
		return issued{}, err
	}
	out, err := w.open(ctx, u, methods...)
	if err != nil {
		return issued{}, err
	}
	return out, w.record(ctx, AuditEvent{Event: EventLogin, ActorID: u.ID, TargetID: u.ID, SessionID: out.session.ID})
}
