package auth

import "context"

// FactorReader reads second factors. What does not exist is fault.NotFound.
type FactorReader interface {
	// TOTP returns the user's authenticator app, also one that is not confirmed.
	TOTP(ctx context.Context, userID string) (TOTP, error)
	// TOTPs returns authenticator apps by user, from those of the user after the
	// given one on.
	TOTPs(ctx context.Context, after string, limit int) ([]TOTP, error)
	// RecoveryCodes returns how many unused recovery codes the user has.
	RecoveryCodes(ctx context.Context, userID string) (int, error)
	// Challenge returns the challenge with the hash, also one that has expired.
	Challenge(ctx context.Context, hash []byte) (Challenge, error)
}

// FactorTx changes second factors. The user's row is their lock.
type FactorTx interface {
	// SaveTOTP adds the user's authenticator app or replaces it.
	SaveTOTP(ctx context.Context, t TOTP) error
	// DeleteTOTP removes it and reports whether there was one.
	DeleteTOTP(ctx context.Context, userID string) (bool, error)
	// SetRecoveryCodes replaces the user's recovery codes by those with the
	// hashes; none takes them all away.
	SetRecoveryCodes(ctx context.Context, userID string, hashes [][]byte) error
	// TakeRecoveryCode deletes the user's code with the hash and reports whether
	// it was there. Of several that take the same code one gets true.
	TakeRecoveryCode(ctx context.Context, userID string, hash []byte) (bool, error)
	// AddChallenge adds a challenge and forgets all but the newest keep of the
	// user for the purpose.
	AddChallenge(ctx context.Context, c Challenge, keep int) error
	// SaveAttempts writes how many wrong answers a challenge got.
	SaveAttempts(ctx context.Context, hash []byte, attempts int) error
	// TakeChallenge deletes the challenge with the hash and reports whether it
	// was there. Of several that take the same challenge one gets true.
	TakeChallenge(ctx context.Context, hash []byte) (bool, error)
	// DropChallenges deletes all challenges of the user but those that remember
	// what must not come again (ChallengeUsed).
	DropChallenges(ctx context.Context, userID string) error
}
