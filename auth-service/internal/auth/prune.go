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

// Run deletes what has expired, now and then, until ctx ends. A failure is left
// to the next time: nothing hangs on it but space.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		for ctx.Err() == nil {
			n, err := s.store.Prune(ctx, s.now().Add(-pruneKeep), pruneBatch)
			if err != nil || n < pruneBatch {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
