package keys

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// start proves that the stored keys can be read before it adds any.
func (m *Manager) start(ctx context.Context) error {
	existing, err := m.options.Store.Keys(ctx)
	if err != nil {
		return err
	}
	if _, err := m.open(existing, nil); err != nil {
		return err
	}
	return m.apply(ctx, m.settle)
}

// settle brings the keys in line with the options: the first keys, an imported
// key, another algorithm.
func (m *Manager) settle(l *ledger) error {
	const sig = contract.KeyUseSignature
	l.retireDue()
	if _, err := m.sealer.reseal(l); err != nil {
		return err
	}
	if next := l.find(sig, StateNext); next != nil && next.Algorithm != m.options.Algorithm {
		l.move(next, StateRetired) // it never signed
	}
	if m.options.Imported != nil {
		if err := m.settleImported(l); err != nil {
			return err
		}
	} else if active := l.find(sig, StateActive); active != nil && active.Algorithm != m.options.Algorithm {
		return l.rotate()
	}
	return l.complete()
}

// settleImported makes the imported key the active one when it is new. Once it
// was rotated out it stays out, although the setting is still there.
func (m *Manager) settleImported(l *ledger) error {
	known := l.byID(m.options.Imported.KeyID())
	switch {
	case known == nil:
		r, err := l.minter.record(m.options.Imported, contract.KeyUseSignature)
		if err != nil {
			return err
		}
		if old := l.find(contract.KeyUseSignature, StateActive); old != nil {
			l.move(old, StateRetiring)
		}
		l.add(r, StateActive)
	case known.State == StateRevoked:
		return fmt.Errorf("the imported signing key %s was revoked; import another one", known.KeyID)
	case known.Use != contract.KeyUseSignature:
		return fmt.Errorf("the imported signing key %s is in use for %s", known.KeyID, known.Use)
	}
	return nil
}

// apply is applyTo of the Manager's own store.
func (m *Manager) apply(ctx context.Context, decide func(*ledger) error) error {
	return m.applyTo(ctx, m.options.Store, decide)
}

// applyTo decides a change and stores it. It is decided once outside of the
// transaction: mostly there is nothing to do, and new keys are made there.
func (m *Manager) applyTo(ctx context.Context, store Store, decide func(*ledger) error) error {
	mint := &minter{sealer: m.sealer, algorithm: m.options.Algorithm}
	changes := func(existing []Record) ([]Record, error) {
		l := newLedger(existing, m.options.Now().UTC(), m.overlap(), mint)
		if err := decide(l); err != nil {
			return nil, err
		}
		return l.changes(), nil
	}
	existing, err := store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	changed, err := changes(existing)
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		return m.Reload(ctx)
	}
	saved := false
	err = store.SaveKeys(ctx, func(existing []Record) ([]Record, error) {
		changed, err := changes(existing)
		saved = len(changed) > 0
		return changed, err
	})
	if err != nil {
		return fmt.Errorf("save signing keys: %w", err)
	}
	if err := m.Reload(ctx); err != nil {
		return err
	}
	if saved && m.options.Changed != nil {
		m.options.Changed()
	}
	return nil
}

// overlap is how long a key verifies after it was last meant to sign.
func (m *Manager) overlap() time.Duration {
	return m.options.TokenLifetime + token.DefaultLeeway + SetCacheTime + 2*m.options.ReloadEvery
}
