package sqlstore

import (
	"context"
	"time"

	"gatehouse.internal/shared/sqldb"
)

// Contested reports whether the account's address was registered again.
func (r reader) Contested(ctx context.Context, userID string) (bool, error) {
	var contested bool
	err := r.q.GetContext(ctx, &contested, `SELECT EXISTS (SELECT 1 FROM contested_addresses WHERE user_id = $1)`, userID)
	return contested, failed("look whether an address is contested", err)
}

// Contest notes that the account's address was registered again.
func (t *tx) Contest(ctx context.Context, userID string, at time.Time) error {
	_, err := t.exec(ctx, "contest an address", `INSERT INTO contested_addresses (user_id, since) VALUES ($1, $2)
		ON CONFLICT (user_id) DO NOTHING`, userID, sqldb.Micros(at))
	return err
}

// Uncontest takes the note back.
func (t *tx) Uncontest(ctx context.Context, userID string) error {
	_, err := t.exec(ctx, "settle an address", `DELETE FROM contested_addresses WHERE user_id = $1`, userID)
	return err
}
