package auth

import (
	"context"
	"time"
)

// MethodKey is the "amr" of a signature with a key (RFC 8176). Whoever had the
// key make one was verified by it, so MethodMFA comes along.
const MethodKey = "pop"

// FactorPasskey is a passkey, as a client is told of it.
const FactorPasskey = "passkey"

// Purposes of challenges for passkeys.
const (
	ChallengeRegister = "passkey_register"
	ChallengeStepUp   = "passkey_step_up"
	// ChallengeUsed is none: it remembers a sign-in that must not come again.
	ChallengeUsed = "passkey_used"
)

// Audit events of passkeys.
const (
	EventPasskeyRenamed = "passkey_renamed"
	EventPasskeyCloned  = "passkey_clone_suspected"
	reasonBadPasskey    = "bad_passkey"
)

// Passkey is a WebAuthn credential as it is stored.
type Passkey struct {
	ID           string
	UserID       string
	CredentialID []byte // as the authenticator knows it; unique
	Record       []byte // what Ceremonies needs of it: the public key and more, in JSON
	Name         string // as its owner calls it
	Synced       bool   // may be on several devices
	Cloned       bool   // its counter did not grow once: there may be a copy
	CreatedAt    time.Time
	LastUsedAt   time.Time // zero if never

	// PasswordFirst says that the password was reset since the passkey was used
	// beside it: whoever reset it may not be the one who has the passkey, so it
	// does not sign in alone.
	PasswordFirst bool
}

// PasskeyOwner is a user with the records of all passkeys.
type PasskeyOwner struct {
	UserID  string
	Name    string // shown by authenticators
	Records [][]byte
}

// NewPasskey is what a registration gave.
type NewPasskey struct {
	CredentialID, Record []byte
	Synced               bool
}

// PasskeyUse is what a signature showed.
type PasskeyUse struct {
	CredentialID []byte
	Record       []byte // to be stored in place of the one before
	Cloned       bool   // the counter did not grow
}

// Ceremonies are those of WebAuthn (Level 3, section 7). options are for the
// browser, in JSON; state is for the second half and no secret. Answers that
// cannot be read are fault.ValidationFailed, those that are not good
// fault.InvalidCredentials.
type Ceremonies interface {
	BeginRegistration(o PasskeyOwner) (options, state []byte, err error)
	FinishRegistration(o PasskeyOwner, state, answer []byte) (NewPasskey, error)
	// BeginAssertion asks for a passkey of the owner; nil leaves the choice to
	// the user.
	BeginAssertion(o *PasskeyOwner) (options, state []byte, err error)
	// Credential reads which credential an answer claims to be of.
	Credential(answer []byte) ([]byte, error)
	FinishAssertion(o PasskeyOwner, state, answer []byte) (PasskeyUse, error)
}

// PasskeyReader reads passkeys. What does not exist is fault.NotFound.
type PasskeyReader interface {
	// Passkeys returns all passkeys of the user, oldest first.
	Passkeys(ctx context.Context, userID string) ([]Passkey, error)
	// PasskeyByCredential returns the passkey with the authenticator's id.
	PasskeyByCredential(ctx context.Context, credentialID []byte) (Passkey, error)
}

// PasskeyTx changes passkeys. The user's row is their lock.
type PasskeyTx interface {
	// AddPasskey adds a passkey. A credential that is known is fault.Conflict,
	// and the transaction goes on.
	AddPasskey(ctx context.Context, p Passkey) error
	// SavePasskey writes the record, name, Cloned, LastUsedAt and PasswordFirst.
	SavePasskey(ctx context.Context, p Passkey) error
	// DeletePasskey removes a passkey of the user and reports whether it was
	// there.
	DeletePasskey(ctx context.Context, userID, id string) (bool, error)
	// HoldPasskeys sets PasswordFirst in all passkeys of the user, and returns how
	// many there are.
	HoldPasskeys(ctx context.Context, userID string) (int, error)
	// DeletePasskeys removes all passkeys of the user.
	DeletePasskeys(ctx context.Context, userID string) error
	// SaveChallengeData writes what a challenge has to remember.
	SaveChallengeData(ctx context.Context, hash, data []byte) error
}

// Question is the first half of a ceremony, for the browser.
type Question struct {
	Token   string // to be shown with the answer
	Options []byte // for navigator.credentials, in JSON
}
