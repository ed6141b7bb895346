package gatewayapp

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
)

// Bounds of what is remembered of uses, and how often it is told.
const (
	useShards      = 16
	usesPerShard   = 4096 // sessions; further ones are told of after the next round
	useInterval    = 30 * time.Second
	useTellTimeout = 5 * time.Second
)

// uses remembers which sessions made requests, and tells the auth-service now
// and then. A request pays a look into a small map and waits for nobody; what
// cannot be told is forgotten.
type uses struct {
	tell   func(ctx context.Context, payload []byte) error
	log    *slog.Logger
	seed   maphash.Seed
	shards [useShards]useShard
}

type useShard struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

// newUses returns an empty memory. tell hands a contract.SessionUses over.
func newUses(tell func(ctx context.Context, payload []byte) error, log *slog.Logger) *uses {
	u := &uses{tell: tell, log: log, seed: maphash.MakeSeed()}
	for i := range u.shards {
		u.shards[i].ids = make(map[string]struct{})
	}
	return u
}

// note remembers that a session made a request.
func (u *uses) note(sessionID string) {
	if sessionID == "" {
		return
	}
	s := &u.shards[maphash.String(u.seed, sessionID)%useShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.ids[sessionID]; !known && len(s.ids) < usesPerShard {
		s.ids[sessionID] = struct{}{}
	}
}

// run tells until ctx ends, and once more then.
func (u *uses) run(ctx context.Context) error {
	ticker := time.NewTicker(useInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			u.flush(context.WithoutCancel(ctx))
			return nil
		case <-ticker.C:
			u.flush(ctx)
		}
	}
}

// flush tells of all sessions that were noted since the last time. After a
// failure the rest of the round is forgotten: the next one is soon.
func (u *uses) flush(ctx context.Context) {
	var batch []string
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		noted := s.ids
		s.ids = make(map[string]struct{}, len(noted))
		s.mu.Unlock()
		for id := range noted {
			if batch = append(batch, id); len(batch) == contract.MaxSessionUses {
				if !u.send(ctx, batch) {
					return
				}
				batch = batch[:0]
			}
		}
	}
	if len(batch) > 0 {
		u.send(ctx, batch)
	}
}

func (u *uses) send(ctx context.Context, batch []string) bool {
	ctx, cancel := context.WithTimeout(ctx, useTellTimeout)
	defer cancel()
	payload, err := json.Marshal(contract.SessionUses{Sessions: batch})
	if err == nil {
		err = u.tell(ctx, payload)
	}
	if err != nil {
		u.log.DebugContext(ctx, "uses of sessions not told", "sessions", len(batch), "error", fmt.Errorf("tell the auth-service: %w", err))
		return false
	}
	return true
}
