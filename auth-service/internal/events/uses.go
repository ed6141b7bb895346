package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
)

// SeenStore notes when sessions were used.
type SeenStore interface {
	// SessionsSeen notes that the sessions were used at that time, unless a later
	// use is known. Sessions that do not exist are left out.
	SessionsSeen(ctx context.Context, ids []string, at time.Time) error
}

// WatchUses notes what gateways tell of the use of sessions, until ctx ends.
// Each batch comes to one replica. Nothing but what people see hangs on it, so
// the time is that of the arrival here, and what fails is left out.
func (p *Publisher) WatchUses(ctx context.Context, store SeenStore, now func() time.Time) error {
	sub, err := p.bus.Respond(p.bus.Subjects().SessionUses(), "auth-service", func(ctx context.Context, data []byte) ([]byte, error) {
		ids, err := usesOf(data)
		if err != nil {
			return nil, err
		}
		if err := store.SessionsSeen(ctx, ids, now()); err != nil {
			return nil, fmt.Errorf("note uses of sessions: %w", err)
		}
		return []byte("{}"), nil
	})
	if err != nil {
		return fmt.Errorf("watch for uses of sessions: %w", err)
	}
	defer sub.Stop()
	<-ctx.Done()
	return nil
}

// maxSessionID bounds an id, in bytes.
const maxSessionID = 64

// usesOf reads what a gateway tells, and refuses what is over the bounds.
func usesOf(data []byte) ([]string, error) {
	var m contract.SessionUses
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, errors.New("note uses of sessions: the message is not JSON of the agreed form")
	}
	if len(m.Sessions) > contract.MaxSessionUses {
		return nil, fmt.Errorf("note uses of sessions: %d at once are more than %d", len(m.Sessions), contract.MaxSessionUses)
	}
	for _, id := range m.Sessions {
		if len(id) > maxSessionID {
			return nil, errors.New("note uses of sessions: an id is too long")
		}
	}
	return m.Sessions, nil
}
