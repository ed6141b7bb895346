package sqlstore

import "context"

// BcryptCost is the highest cost of the stored password hashes that are of
// bcrypt ($2a$10$…), 0 if there are none.
func (s *Store) BcryptCost(ctx context.Context) (int, error) {
	var cost int
	err := s.db.GetContext(ctx, &cost, `SELECT COALESCE(MAX(CAST(substr(password_hash, 5, 2) AS INTEGER)), 0)
		FROM users WHERE substr(password_hash, 1, 2) = '$2'`)
	return cost, failed("look for hashes of bcrypt", err)
}
