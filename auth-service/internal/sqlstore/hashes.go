package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// BcryptCost is the highest cost of the stored password hashes that are of
// bcrypt ($2a$10$…), 0 if there are none.
func (s *Store) BcryptCost(ctx context.Context) (int, error) {
	var cost int
	err := s.db.GetContext(ctx, &cost, `SELECT COALESCE(MAX(CAST(substr(password_hash, 5, 2) AS INTEGER)), 0)
		FROM users WHERE substr(password_hash, 1, 2) = '$2'`)
	return cost, failed("look for hashes of bcrypt", err)
}

// hashKind is what a hash of Argon2id begins with, up to the salt: salt and key
// are of letters, digits, + and /. There is an index on it, by the same text.
const hashKind = `rtrim(rtrim(rtrim(password_hash, ` + base64Characters + `), '$'), ` + base64Characters + `)`

const base64Characters = `'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'`

// maxHashKinds bounds how many kinds of hashes are looked for.
const maxHashKinds = 32

// HashKinds returns what the stored hashes of Argon2id begin with, each once. It
// leaps from one kind to the next, however many users have it.
func (r reader) HashKinds(ctx context.Context) ([]string, error) {
	var kinds []string
	last := ""
	for len(kinds) < maxHashKinds {
		err := r.q.GetContext(ctx, &last, `SELECT `+hashKind+` FROM users
			WHERE substr(password_hash, 1, 10) = '$argon2id$' AND `+hashKind+` > $1 ORDER BY `+hashKind+` LIMIT 1`, last)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return nil, failed("look for kinds of password hashes", err)
		}
		kinds = append(kinds, last)
	}
	return kinds, nil
}
