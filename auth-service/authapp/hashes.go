package authapp

import (
	"context"
	"time"

	"gatehouse.internal/auth-service/internal/auth/password"
)

// hashLook is how often a replica looks which hashes of passwords are stored.
const hashLook = time.Minute

// expectHashes has comparisons of passwords take the time of imported hashes as
// long as there are any, until ctx ends.
func (a *App) expectHashes(ctx context.Context) error {
	ticker := time.NewTicker(hashLook)
	defer ticker.Stop()
	for {
		if err := a.lookAtHashes(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "looking for imported password hashes failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *App) lookAtHashes(ctx context.Context) error {
	cost, err := a.store.BcryptCost(ctx)
	if err != nil {
		return err
	}
	kinds, err := a.store.HashKinds(ctx)
	if err != nil {
		return err
	}
	a.hasher.Expect(password.Stored{BcryptCost: cost, Argon2id: kinds})
	return nil
}
