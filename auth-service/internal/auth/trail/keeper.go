package trail

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// Bounds of what one transaction changes, and how often a Keeper looks.
const (
	batch        = 500
	defaultLook  = time.Second
	keptEvery    = 10 * time.Second // how often it is noted that the trail is kept, if there is nothing new
	gap          = time.Minute      // how long that may be missing before the trail tells of it
	anchorEvery  = time.Minute
	tidyEvery    = 10 * time.Minute
	erasureGrace = 24 * time.Hour // for events of the deleted account that come late
)

// AnchorMessage is the text of the log line that tells the head of the chain;
// its attributes are number and hash.
const AnchorMessage = "head of the audit trail"

// Keeper links events, takes deleted accounts out of them and forgets the
// oldest. Any number of replicas may have one. All fields but Retention and Look
// are needed.
type Keeper struct {
	Store     Store
	Seal      *Sealer
	Now       func() time.Time
	Log       *slog.Logger
	Events    Events
	Retention time.Duration // how long events are kept; 0 for ever
	Look      time.Duration // how often to look for new events; 0: a second

	told   Mark
	forgot time.Time // when it forgot what was old
}

// Events is what the Keeper needs of auth.Service.
type Events interface {
	// SystemEvent completes an event of the system itself with id and time.
	SystemEvent(e auth.AuditEvent) (auth.AuditEvent, error)
	// Ordered reports whether the service has ordered an erasure.
	Ordered(e auth.Erasure) bool
}

// Run keeps the trail until ctx ends. Failures are logged, at most one a minute,
// and tried again: nothing waits for them but evidence.
func (k *Keeper) Run(ctx context.Context) error {
	look := k.Look
	if look == 0 {
		look = defaultLook
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	var complained, anchored, tidied time.Time
	for {
		now := k.Now()
		err := k.Link(ctx)
		if err == nil && now.Sub(anchored) >= anchorEvery {
			anchored, err = now, k.anchor(ctx)
		}
		if err == nil && now.Sub(tidied) >= tidyEvery {
			tidied, err = now, k.Tidy(ctx)
		}
		if err != nil && ctx.Err() == nil && now.Sub(complained) >= time.Minute {
			complained = now
			k.Log.WarnContext(ctx, "the audit trail was not kept; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// anchor logs the head if it is another than the one told last.
func (k *Keeper) anchor(ctx context.Context) error {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return fmt.Errorf("look at the audit trail: %w", err)
	}
	if s.Head.Number != k.told.Number && k.Seal.good(placeHead, s.Head) {
		k.Log.InfoContext(ctx, AnchorMessage, "number", s.Head.Number, "hash", hex.EncodeToString(s.Head.Hash[:]))
		k.told = s.Head
	}
	return nil
}

// Standing is how the trail is kept.
type Standing struct {
	Waiting int           // events that have no place yet
	Age     time.Duration // of the oldest of them
	Kept    time.Time     // when it was kept last; zero if nobody can tell
}

// Standing looks at the trail, and believes what is sealed.
func (k *Keeper) Standing(ctx context.Context) (Standing, error) {
	s, err := k.Store.TrailState(ctx)
	if err != nil {
		return Standing{}, fmt.Errorf("look at the audit trail: %w", err)
	}
	out := Standing{Waiting: s.Waiting, Kept: k.Seal.kept(s.Kept)}
	if s.Waiting > 0 {
		out.Age = max(0, k.Now().Sub(s.Oldest))
	}
	return out, nil
}
