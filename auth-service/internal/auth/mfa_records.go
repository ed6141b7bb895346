package auth

import (
	"time"

	"gatehouse.internal/shared/contract"
)

// Values of "amr" beside MethodPassword (RFC 8176 section 2).
const (
	MethodOTP = "otp" // a code of an authenticator app
	MethodMFA = contract.MethodMFA
	// MethodRecovery is a recovery code. RFC 8176 has no name for one.
	MethodRecovery = "recovery"
)

// Ways to show a second factor, as a client is told of them.
const (
	FactorTOTP     = "totp"
	FactorRecovery = "recovery_code"
)

// Audit events of second factors. Their Reason names the factor.
const (
	EventEnrolmentStarted   = "mfa_enrolment_started"
	EventFactorAdded        = "mfa_factor_added"
	EventFactorRemoved      = "mfa_factor_removed"
	EventFactorsReset       = "mfa_reset"
	EventFactorAsked        = "mfa_challenged"
	EventFactorRefused      = "mfa_refused"
	EventRecoveryCodesMade  = "mfa_recovery_codes_made"
	EventRecoveryCodeUsed   = "mfa_recovery_code_used"
	EventSteppedUp          = "mfa_step_up"
	reasonWrongCode         = "wrong_code"
	reasonTooManyWrongCodes = "too_many_wrong_codes"
)

// TOTP is a user's authenticator app (RFC 6238) as it is stored.
type TOTP struct {
	UserID       string
	Sealed       []byte // the secret, encrypted
	CreatedAt    time.Time
	ConfirmedAt  time.Time // zero until a first code has shown that the app has the secret
	LastStep     int64     // time step of the newest accepted code: that one and older ones are refused
	Wrong        int       // wrong codes since the last right one
	BlockedUntil time.Time // no code is looked at before; zero for never blocked
}

// active reports whether the app counts as a factor.
func (t TOTP) active() bool { return !t.ConfirmedAt.IsZero() }

// Challenge is a question that waits for its answer: the client holds a secret
// token, of which the hash is stored.
type Challenge struct {
	Hash      []byte // SHA-256 of the token
	Purpose   string // a challenge is good for its own purpose alone
	UserID    string
	SessionID string   // of a signed-in user; empty for a sign-in
	Version   uint64   // the user's version when it was asked: what ends sessions ends challenges
	Methods   []string // amr so far
	Data      []byte   // what the ceremony needs to remember; may be nil
	Attempts  int      // wrong answers so far
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Purposes of challenges.
const (
	// ChallengeLogin waits for the second factor of a sign-in.
	ChallengeLogin = "login"
)

// Enrolment is what an authenticator app needs to know.
type Enrolment struct {
	Secret string // base32 without padding, to be typed
	URL    string // otpauth://, to be shown as a QR code
}

// Factors are a user's second factors, as the user may see them.
type Factors struct {
	Enabled       bool
	TOTP          bool
	Passkeys      int
	RecoveryCodes int      // how many are left
	RequiredFor   []string // roles of the user that count with a second factor only
}

// OneTimeCodes makes and checks the codes of authenticator apps (RFC 6238).
type OneTimeCodes interface {
	// Match returns the time step that the code belongs to, if it is the code of
	// a step at the given time, or next to it, and after the step last.
	Match(secret []byte, code string, at time.Time, last int64) (step int64, ok bool)
	// Enrolment spells the secret for the app of an account.
	Enrolment(account string, secret []byte) (Enrolment, error)
}
