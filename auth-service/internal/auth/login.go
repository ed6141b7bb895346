package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// MethodPassword is the "amr" of a sign-in with a password (RFC 8176).
const MethodPassword = "pwd"

// Login opens a session. Faults: InvalidCredentials for an unknown address and
// a wrong password alike, AccountLocked only after the right password,
// RateLimited whether there is such an account or not. MFARequired asks for the
// second step, CompleteLogin, with the mfa_token and methods in its Extra.
func (s *Service) Login(ctx context.Context, c Caller, email, password string) (Tokens, error) {
	try, err := s.attemptLogin(ctx, c, email)
	if err != nil {
		return Tokens{}, err
	}
	out, err := s.login(ctx, c, email, password)
	try.settle(ctx, err)
	return out, err
}

func (s *Service) login(ctx context.Context, c Caller, email, password string) (Tokens, error) {
	// A password that changes while it is checked is checked once more.
	for range maxPasswordChecks {
		proof, err := s.prove(ctx, email, password)
		if err != nil {
			return Tokens{}, err
		}
		if !proof.matches {
			return Tokens{}, s.note(ctx, c, AuditEvent{Event: EventLogin, TargetID: proof.user.ID,
				Reason: proof.reason()}, badCredentials())
		}
		out, again, err := s.signIn(ctx, c, proof)
		if again {
			continue
		}
		if err != nil {
			return Tokens{}, err
		}
		return s.tokens(ctx, out)
	}
	return Tokens{}, fault.New(fault.Conflict, "The account is being changed; try again.")
}

const maxPasswordChecks = 3

// proof is what was found out about a password, without a lock.
type proof struct {
	user    User   // zero for an unknown address
	matches bool   // the password was that of user.PasswordHash
	rehash  string // a hash with better parameters, or empty
}

func (p proof) reason() string {
	if p.user.ID == "" {
		return "unknown_address"
	}
	return "wrong_password"
}

// prove checks a password against an address, with equal work for one that is
// unknown.
func (s *Service) prove(ctx context.Context, email, password string) (proof, error) {
	u, err := s.addressee(ctx, email)
	if err != nil {
		return proof{}, err
	}
	p := proof{user: u}
	if p.matches, err = s.hash.Matches(ctx, u.PasswordHash, password); err != nil || !p.matches {
		return p, err
	}
	if s.hash.Outdated(u.PasswordHash) {
		// Better parameters can wait for a quieter moment.
		if p.rehash, err = s.hash.Hash(ctx, password); err != nil && !fault.Is(err, fault.Overloaded) {
			return p, err
		}
	}
	return p, nil
}

// addressee finds the user with an address; for one that nobody has, and for a
// text that is none, the user is zero.
func (s *Service) addressee(ctx context.Context, email string) (User, error) {
	if !addressable(email) {
		return User{}, nil
	}
	u, err := s.store.UserByEmail(ctx, foldEmail(email))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// signIn opens a session for a proven password, or asks to prove it again when
// it was changed meanwhile.
func (s *Service) signIn(ctx context.Context, c Caller, p proof) (out issued, again bool, err error) {
	_, err = s.do(ctx, c, func(w *work) error {
		u, err := w.LockUser(ctx, p.user.ID)
		if fault.Is(err, fault.NotFound) {
			return badCredentials()
		}
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if again = u.PasswordHash != p.user.PasswordHash; again {
			return nil
		}
		if u.Status != contract.StatusActive {
			w.verdict = fault.New(fault.AccountLocked, "The account is locked.")
			return w.recordRefusal(ctx, u.ID, AuditEvent{Event: EventLogin, Reason: "locked"})
		}
		if p.rehash != "" {
			u.PasswordHash = p.rehash
		}
		if u.MFAEnabled {
			if err := w.save(ctx, &u); err != nil {
				return err
			}
			return w.askFactor(ctx, u, MethodPassword)
		}
		out, err = w.complete(ctx, u, MethodPassword)
		return err
	})
	return out, again, err
}

func badCredentials() error {
	return fault.New(fault.InvalidCredentials, "The e-mail address or the password is wrong.")
}
