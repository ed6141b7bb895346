package auth

import (
	"context"
	"time"
)

// ServiceAccount is an account of a program. It signs in with client
// credentials (RFC 6749 section 4.4); its id is its client_id and the subject of
// its tokens.
type ServiceAccount struct {
	ID           string
	Name         string // unique
	Description  string
	Roles        []string // sorted
	Version      uint64   // as that of User
	LeastVersion uint64   // as that of User
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// TokenVersion is the version of tokens that are made now.
func (a *ServiceAccount) TokenVersion() uint64 { return max(a.Version, a.LeastVersion) }

// ServiceSecret is a secret of a service account. Tokens that are issued for it
// have its id as their session, so that they can be revoked with it.
type ServiceSecret struct {
	ID        string
	AccountID string
	Hash      []byte // SHA-256 of the secret, which has 256 random bits
	CreatedAt time.Time
	ExpiresAt time.Time // zero for never
}

// live reports whether the secret can be used at a time.
func (x *ServiceSecret) live(now time.Time) bool {
	return x.ExpiresAt.IsZero() || now.Before(x.ExpiresAt)
}

// Bounds of service accounts.
const (
	maxSecrets        = 5 // of one account
	maxAccountName    = 64
	maxAccountText    = 500
	secretSize        = 32 // bytes
	maxSecretLifetime = 10 * 365 * 24 * time.Hour
)

// SecretPrefix begins the secrets of service accounts, so that scanners find
// those that were published by mistake.
const SecretPrefix = "ghs_"

// MachineReader reads service accounts.
type MachineReader interface {
	// ServiceAccount returns the account with the id.
	ServiceAccount(ctx context.Context, id string) (ServiceAccount, error)
	// ServiceAccounts returns accounts by id, from the one after the given on.
	ServiceAccounts(ctx context.Context, after string, limit int) ([]ServiceAccount, error)
	// ServiceSecret returns the secret with the id.
	ServiceSecret(ctx context.Context, id string) (ServiceSecret, error)
	// ServiceSecretByHash returns the secret with the hash.
	ServiceSecretByHash(ctx context.Context, hash []byte) (ServiceSecret, error)
	// ServiceSecrets returns the secrets of an account, oldest first.
	ServiceSecrets(ctx context.Context, accountID string) ([]ServiceSecret, error)
}

// MachineTx changes service accounts. The row of an account is the lock for its
// secrets.
type MachineTx interface {
	// LockServiceAccount returns the account as of the moment the lock was got.
	LockServiceAccount(ctx context.Context, id string) (ServiceAccount, error)
	// AddServiceAccount adds an account. A taken name is fault.Conflict.
	AddServiceAccount(ctx context.Context, a ServiceAccount) error
	// SaveServiceAccount writes roles, version and the time of the change.
	SaveServiceAccount(ctx context.Context, a ServiceAccount) error
	// DeleteServiceAccount removes the account with its secrets.
	DeleteServiceAccount(ctx context.Context, id string) error
	// AddServiceSecret adds a secret.
	AddServiceSecret(ctx context.Context, x ServiceSecret) error
	// SaveServiceSecret writes when a secret expires.
	SaveServiceSecret(ctx context.Context, x ServiceSecret) error
	// DeleteServiceSecret removes a secret.
	DeleteServiceSecret(ctx context.Context, id string) error
}
