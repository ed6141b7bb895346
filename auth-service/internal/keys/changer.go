package keys

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
)

// Changer changes keys like the Manager, through another Store of the same keys:
// one that writes down in the same transaction who does it, so that no key is
// changed without a trace.
type Changer struct {
	manager *Manager
	store   Store
}

// Through returns a Changer.
func (m *Manager) Through(s Store) Changer { return Changer{manager: m, store: s} }

// Rotate is Manager.Rotate.
func (c Changer) Rotate(ctx context.Context) (Record, error) {
	m := c.manager
	if err := m.Reload(ctx); err != nil {
		return Record{}, fmt.Errorf("rotate signing keys: %w", err)
	}
	before := m.current.Load().active.KeyID()
	err := m.applyTo(ctx, c.store, func(l *ledger) error {
		if active := l.find(contract.KeyUseSignature, StateActive); active != nil && active.KeyID != before {
			return nil // another replica was first
		}
		return l.rotate()
	})
	if err != nil {
		return Record{}, fmt.Errorf("rotate signing keys: %w", err)
	}
	return m.record(m.current.Load().active.KeyID())
}

// Revoke is Manager.Revoke.
func (c Changer) Revoke(ctx context.Context, kid string) (Record, error) {
	err := c.manager.applyTo(ctx, c.store, func(l *ledger) error { return l.revoke(kid) })
	if err != nil {
		return Record{}, fmt.Errorf("revoke signing key: %w", err)
	}
	return c.manager.record(kid)
}
