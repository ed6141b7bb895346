package events

import (
	"context"
	"fmt"
	"log/slog"

	"gatehouse.internal/shared/bus"
)

// Keys are the issuer's keys as this service keeps them.
type Keys interface {
	// Refresh fetches them anew.
	Refresh(ctx context.Context) error
}

// KeyWatch has the keys fetched anew whenever the issuer says that they have
// changed. A message that is lost costs nothing but time: keys are also fetched
// now and then, and when a token names an unknown one.
type KeyWatch struct {
	Bus  *bus.Bus
	Keys Keys
	Log  *slog.Logger
}

// Run watches until ctx ends.
func (w *KeyWatch) Run(ctx context.Context) error {
	sub, err := w.Bus.Subscribe(w.Bus.Subjects().KeysChanged(), func(bus.Message) {
		if err := w.Keys.Refresh(ctx); err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "fetch changed key set", "error", err)
		}
	})
	if err != nil {
		return fmt.Errorf("watch for changed keys: %w", err)
	}
	defer sub.Stop()
	<-ctx.Done()
	return nil
}
