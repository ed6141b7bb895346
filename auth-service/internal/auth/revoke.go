package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
)

// revocationMargin is how much longer a revocation stays than the last token it
// kills: the leeway of verifiers (30 s), and 5 minutes for clocks that differ.
const revocationMargin = 30*time.Second + 5*time.Minute

// Causes of revocations, which are also why a session ended.
const (
	CauseLogout          = "logout"
	CauseLogoutAll       = "logout_all"
	CauseSessionEnded    = "session_ended"
	CausePasswordChanged = "password_changed"
	CausePasswordReset   = "password_reset"
	CauseRolesChanged    = "roles_changed"
	CauseFactorRemoved   = "mfa_removed"
	CauseLocked          = "locked"
	CauseDeleted         = "deleted"
	CauseAdministrator   = "administrator"
	CauseTokenReused     = "refresh_token_reused"
	CauseClientRevoked   = "client_revoked"
)

func (w *work) revocation(ctx context.Context, r Revocation, lastAccess time.Time) error {
	r.ID, r.CreatedAt = w.newID(), w.now
	r.ExpiresAt = lastAccess.Add(revocationMargin)
	if least := w.now.Add(revocationMargin); r.ExpiresAt.Before(least) {
		r.ExpiresAt = least
	}
	if err := w.AddRevocation(ctx, r); err != nil {
		return fmt.Errorf("add revocation: %w", err)
	}
	w.revoked = append(w.revoked, r.ID)
	return nil
}

// maxEarlier is how many revocations of one subject a repeated call waits for;
// they are the newest, which have the highest numbers.
const maxEarlier = 8

// settle waits until the gateways have applied the revocations with these ids,
// and those that the log holds of these users, sessions and tokens: whoever
// repeats a call because no answer came must not be told that all is done any
// sooner than the first caller.
func (s *Service) settle(ctx context.Context, ids, over []string) (Propagation, error) {
	for _, subject := range over {
		if subject == "" {
			continue
		}
		earlier, err := s.store.Revocations(ctx, RevocationQuery{Subject: subject, At: s.now(), Limit: maxEarlier})
		if err != nil {
			return Propagation{}, fmt.Errorf("look for earlier revocations: %w", err)
		}
		ids = append(ids, earlier...)
	}
	if len(ids) == 0 {
		return Propagation{}, nil
	}
	// What is committed is carried out even if the client has gone.
	return s.revoke.Committed(context.WithoutCancel(ctx), ids), nil
}

// repeated notes users, sessions or tokens that were revoked before: the call
// waits for that as the one did which revoked them.
func (w *work) repeated(subjects ...string) { w.over = append(w.over, subjects...) }

// endSession ends a live session and revokes its tokens.
func (w *work) endSession(ctx context.Context, s Session, cause string) error {
	s.EndedAt, s.EndCause = w.now, cause
	if err := w.SaveSession(ctx, s); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return w.revocation(ctx, Revocation{Kind: contract.RevokeSession, Subject: s.ID, Cause: cause}, w.lastAccess(s.AccessExpiresAt))
}

// raise makes every token of the user that exists so far bad: for good with
// contract.RevokeUser, or until it is refreshed with contract.RevokeUserStale.
// The caller saves the user.
func (w *work) raise(ctx context.Context, u *User, kind contract.RevocationKind, cause string) error {
	last, err := w.LatestAccess(ctx, u.ID)
	if err != nil {
		return fmt.Errorf("find the user's last token: %w", err)
	}
	u.Version = u.TokenVersion() + 1
	return w.revocation(ctx, Revocation{Kind: kind, Subject: u.ID, MinVersion: u.Version, Cause: cause}, w.lastAccess(last))
}

// lastAccess is when the last access token expires that can have been made by
// now, if the last one that is known expires at that time: a history which the
// database has lost may have made others.
func (w *work) lastAccess(known time.Time) time.Time {
	if possible := w.now.Add(w.svc.config.AccessTTL); possible.After(known) {
		return possible
	}
	return known
}

// signOut ends every session of the user and makes every token bad. The caller
// saves the user.
func (w *work) signOut(ctx context.Context, u *User, cause string) error {
	if err := w.raise(ctx, u, contract.RevokeUser, cause); err != nil {
		return err
	}
	if _, err := w.EndSessions(ctx, u.ID, cause, w.now); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}
