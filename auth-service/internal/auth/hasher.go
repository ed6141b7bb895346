package auth

import "context"

// Hasher hashes passwords slowly, behind a bounded queue: a call beyond the
// bound fails with fault.Overloaded at once. See Argon2id.
type Hasher interface {
	// Hash returns a PHC string for the password.
	Hash(ctx context.Context, password string) (string, error)
	// Matches reports whether the password is the one that phc was made from.
	// An empty phc matches nothing, after the same work.
	Matches(ctx context.Context, phc, password string) (bool, error)
	// Outdated reports whether phc was made with other parameters than Hash uses.
	Outdated(phc string) bool
}
