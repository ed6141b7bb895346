package sqlstore

import (
	"context"

	"gatehouse.internal/auth-service/internal/auth"
)

// Places returns from where the newest n sessions of a user were last used.
func (r reader) Places(ctx context.Context, userID string, n int) ([]auth.Place, error) {
	var rows []struct {
		Address   string `db:"address"`
		UserAgent string `db:"user_agent"`
	}
	err := r.q.SelectContext(ctx, &rows, `SELECT address, user_agent FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2`, userID, n)
	if err != nil {
		return nil, failed("look for earlier sign-ins", err)
	}
	out := make([]auth.Place, 0, len(rows))
	for _, row := range rows {
		out = append(out, auth.Place(row))
	}
	return out, nil
}
