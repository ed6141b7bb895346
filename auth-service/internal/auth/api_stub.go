package auth

import (
	"context"
	"errors"

	"gatehouse.internal/shared/contract"
)

var errMissing = errors.New("not there")

// Register asks for a new account and mails a link that verifies the address.
// For an address that has an account it does the same work, gives the same
// answer and mails its owner instead. Faults: ValidationFailed, WeakPassword.
func (s *Service) Register(ctx context.Context, c Caller, r Registration) error { return errMissing }

// VerifyEmail takes a token from a mail: it verifies the address of an account,
// or makes a changed address take effect. A token that is unknown, used,
// expired or for another purpose or address is fault.ValidationFailed.
func (s *Service) VerifyEmail(ctx context.Context, c Caller, token string) error { return errMissing }

// ResendVerification mails another link to the caller's address, if it is not
// verified and not too many were sent.
func (s *Service) ResendVerification(ctx context.Context, c Caller) error { return errMissing }

// Login opens a session. Faults: InvalidCredentials for an unknown address and
// a wrong password alike, AccountLocked only after the right password.
func (s *Service) Login(ctx context.Context, c Caller, email, password string) (Tokens, error) {
	return Tokens{}, errMissing
}

// Refresh gives the one successor of a refresh token; see the package comment.
// Fault: InvalidRefreshToken, one answer for every cause.
func (s *Service) Refresh(ctx context.Context, c Caller, refreshToken string) (Tokens, error) {
	return Tokens{}, errMissing
}

// Logout ends the caller's session on every node. Ending it again is no error.
func (s *Service) Logout(ctx context.Context, c Caller) error { return errMissing }

// LogoutByRefreshToken ends the session that a refresh token belongs to. Ending
// it again is no error; a token that was never made is InvalidRefreshToken.
func (s *Service) LogoutByRefreshToken(ctx context.Context, c Caller, refreshToken string) error {
	return errMissing
}

// LogoutAll ends every session of the caller's user.
func (s *Service) LogoutAll(ctx context.Context, c Caller) error { return errMissing }

// Check asks the database whether a verified token is still good: its session
// lives, its user is active and its version is the user's. Faults:
// TokenRevoked, TokenStale.
func (s *Service) Check(ctx context.Context, claims *contract.Claims) error { return errMissing }

// Me returns the caller's account.
func (s *Service) Me(ctx context.Context, c Caller) (Account, error) { return Account{}, errMissing }

// Sessions lists the caller's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, c Caller, p PageRequest) (Page[SessionInfo], error) {
	return Page[SessionInfo]{}, errMissing
}

// EndSession ends one of the caller's own sessions. One of somebody else is
// NotFound.
func (s *Service) EndSession(ctx context.Context, c Caller, sessionID string) error {
	return errMissing
}

// ChangePassword sets a new password, ends every session of the user and opens
// a fresh one for the caller. Faults: InvalidCredentials for a wrong current
// password, WeakPassword, PasswordReused.
func (s *Service) ChangePassword(ctx context.Context, c Caller, current, next string) (Tokens, error) {
	return Tokens{}, errMissing
}

// ForgotPassword mails a link for a new password if the address has an account.
// The answer never tells.
func (s *Service) ForgotPassword(ctx context.Context, c Caller, email string) error {
	return errMissing
}

// ResetPassword sets a new password by a mailed token and ends every session.
// Faults: ValidationFailed for a bad token, WeakPassword, PasswordReused; the
// last two leave the token good.
func (s *Service) ResetPassword(ctx context.Context, c Caller, token, next string) error {
	return errMissing
}

// ChangeEmail mails a link to a new address; the change takes effect when it is
// confirmed with VerifyEmail. Fault: InvalidCredentials.
func (s *Service) ChangeEmail(ctx context.Context, c Caller, newEmail, currentPassword string) error {
	return errMissing
}

// DeleteAccount removes the caller's account and everything that belongs to it.
// Faults: InvalidCredentials, Conflict for the last administrator.
func (s *Service) DeleteAccount(ctx context.Context, c Caller, password string) error {
	return errMissing
}

// AuthenticateClient returns the client with this id and secret, or
// fault.InvalidCredentials.
func (s *Service) AuthenticateClient(ctx context.Context, c Caller, id, secret string) (Client, error) {
	return Client{}, errMissing
}

// Introspect tells a client about an access or refresh token (RFC 7662). A
// token that is not good for any reason is inactive, without an error.
func (s *Service) Introspect(ctx context.Context, client Client, token string) (Introspection, error) {
	return Introspection{}, errMissing
}

// Revoke revokes an access token by itself, or the whole session of a refresh
// token (RFC 7009). An unknown token is no error; one that was issued to
// another client is fault.InvalidCredentials.
func (s *Service) Revoke(ctx context.Context, c Caller, client Client, token string) error {
	return errMissing
}

// SetRoles replaces a user's roles. The role user always stays. Faults:
// InsufficientRole, NotFound, ValidationFailed, Conflict for the last
// administrator; so for the methods below.
func (s *Service) SetRoles(ctx context.Context, c Caller, userID string, roles []string) (Account, error) {
	return Account{}, errMissing
}

// LockUser locks an account and ends its sessions. Locking it again is no error.
func (s *Service) LockUser(ctx context.Context, c Caller, userID string) error { return errMissing }

// UnlockUser lets a locked account sign in again. Its old sessions stay ended.
func (s *Service) UnlockUser(ctx context.Context, c Caller, userID string) error { return errMissing }

// LogoutUser ends every session of a user.
func (s *Service) LogoutUser(ctx context.Context, c Caller, userID string) error { return errMissing }

// DeleteUser removes an account and everything that belongs to it.
func (s *Service) DeleteUser(ctx context.Context, c Caller, userID string) error { return errMissing }

// UserSessions lists a user's live sessions, newest first.
func (s *Service) UserSessions(ctx context.Context, c Caller, userID string, p PageRequest) (Page[SessionInfo], error) {
	return Page[SessionInfo]{}, errMissing
}

// EndAnySession ends a session of any user and tells how far that has come.
func (s *Service) EndAnySession(ctx context.Context, c Caller, sessionID string) (Propagation, error) {
	return Propagation{}, errMissing
}

// AuditEvents lists authentication events, newest first.
func (s *Service) AuditEvents(ctx context.Context, c Caller, q AuditQuery) (Page[AuditEvent], error) {
	return Page[AuditEvent]{}, errMissing
}

// HasAdministrator reports whether there is an administrator, so that a first
// start can be told from a later one.
func (s *Service) HasAdministrator(ctx context.Context) (bool, error) { return false, errMissing }

// EnsureAdministrator creates the first administrator, with a verified address,
// and reports whether it did: it does nothing when there is one already.
func (s *Service) EnsureAdministrator(ctx context.Context, email, password string) (bool, error) {
	return false, errMissing
}

// Run deletes what has expired, now and then, until ctx ends.
func (s *Service) Run(ctx context.Context) error { return errMissing }
