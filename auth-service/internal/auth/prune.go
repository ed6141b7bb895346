package auth

import (
	"context"
	"time"
)

// Bounds of the clearing of what has expired.
const (
	pruneEvery = 10 * time.Minute
	pruneKeep  = 24 * time.Hour
	pruneBatch = 1000
)

// Run deletes what has expired, now and then, until ctx ends. A failure is
// logged and left to the next time: nothing hangs on it but space.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		if err := s.prune(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "expired sessions and mail tokens were not deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// prune deletes batch by batch, so that no transaction is long.
func (s *Service) prune(ctx context.Context) error {
	for {
		n, err := s.store.Prune(ctx, s.now().Add(-pruneKeep), pruneBatch)
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
