package password

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Costs of bcrypt hashes that may be imported: neither weak nor ruinous.
const (
	LeastBcryptCost = 10
	MostBcryptCost  = 14
	bcryptLength    = 60
	bcryptBytes     = 72 // what bcrypt looks at of a password
)

// CheckHash reports why a hash from elsewhere cannot be taken over. It must be
// one of bcrypt ($2a$, $2b$, $2y$), or a PHC string of Argon2id. The error does
// not repeat it.
func CheckHash(encoded string) error {
	if !isBcrypt(encoded) {
		switch _, err := parsePHC(encoded); {
		case errors.Is(err, errPHC):
			return errors.New("is neither a bcrypt hash nor one of Argon2id with parameters within bounds")
		case err != nil:
			return fmt.Errorf("is out of bounds: %w", err)
		}
		return nil
	}
	cost, err := bcryptCost(encoded)
	if err != nil {
		return errors.New("is not a whole bcrypt hash")
	}
	if cost < LeastBcryptCost || cost > MostBcryptCost {
		return fmt.Errorf("has the bcrypt cost %d, which is not within %d and %d", cost, LeastBcryptCost, MostBcryptCost)
	}
	return nil
}

func isBcrypt(encoded string) bool {
	return strings.HasPrefix(encoded, "$2a$") || strings.HasPrefix(encoded, "$2b$") || strings.HasPrefix(encoded, "$2y$")
}

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// bcryptCost is the cost of a hash that is whole.
func bcryptCost(encoded string) (int, error) {
	if len(encoded) != bcryptLength || strings.Trim(encoded[7:], bcryptAlphabet) != "" {
		return 0, errors.New("not a bcrypt hash")
	}
	return bcrypt.Cost([]byte(encoded))
}

// matchesBcrypt compares a password with a hash of the given cost, and spends
// the time that a hash of cost most takes: each cost doubles the work. An empty
// hash, of any cost, matches nothing after the same work.
//
// A password is compared as it was typed, and in NFKC, because nobody knows
// which of the two was hashed elsewhere. One that is longer than bcrypt looks at
// matches nothing: it would match with any end.
func matchesBcrypt(encoded string, cost, most int, password string) (bool, error) {
	matches := false
	for _, form := range typedForms(password) {
		whole := len(form) <= bcryptBytes
		if !whole {
			form = form[:bcryptBytes]
		}
		if encoded == "" {
			compareNothing(most, form)
			continue
		}
		err := bcrypt.CompareHashAndPassword([]byte(encoded), []byte(form))
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, errors.New("read stored password hash: it is not one of bcrypt")
		}
		matches = matches || err == nil && whole
		for more := cost; more < most; more++ {
			compareNothing(more, form)
		}
	}
	return matches, nil
}

func typedForms(password string) []string {
	if n := normal(password); n != password {
		return []string{password, n}
	}
	return []string{password}
}

// compareNothing compares a password with a hash that nothing matches.
func compareNothing(cost int, password string) {
	nothing := fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", bcryptLength-7))
	_ = bcrypt.CompareHashAndPassword([]byte(nothing), []byte(password))
}
