package password

import (
	"cmp"
	"crypto/subtle"
	"slices"
	"strings"
)

// MostKinds bounds with how many different parameters hashes of Argon2id may be
// stored, those of new ones included: every comparison does the work of each.
const MostKinds = 5

// otherMemory bounds the memory of hashes with imported parameters that are
// worked out at once, in KiB.
const otherMemory = 512 << 10

// Stored tells which hashes accounts have.
type Stored struct {
	BcryptCost int      // the highest cost of those of bcrypt; 0: there are none
	Argon2id   []string // what those of Argon2id begin with; see Kind
}

// Kind is what a hash of Argon2id has in common with others of the same
// parameters: its text up to the salt, as $argon2id$v=19$m=19456,t=2,p=1$. It is
// empty for any other hash.
func Kind(encoded string) string {
	p, err := parsePHC(encoded)
	if err != nil {
		return ""
	}
	return p.prefix()
}

// expectation is what every comparison does, whatever it compares with.
type expectation struct {
	bcryptCost int
	others     []parameters  // of Argon2id, but for those of new hashes
	room       chan struct{} // for one comparison with others each
}

// Expect tells which hashes are stored. As long as there are any that were not
// made by Hash, every comparison takes the time of all kinds together, so that
// the time does not tell which accounts were imported and have not signed in
// since.
func (h *Argon2id) Expect(s Stored) {
	e := &expectation{bcryptCost: min(max(s.BcryptCost, 0), MostBcryptCost)}
	for _, kind := range s.Argon2id {
		if p, err := parseParameters(kind); err == nil && p != h.use && !slices.Contains(e.others, p) {
			e.others = append(e.others, p)
		}
	}
	slices.SortFunc(e.others, func(a, b parameters) int {
		return cmp.Or(cmp.Compare(b.work(), a.work()), strings.Compare(a.prefix(), b.prefix()))
	})
	e.others = e.others[:min(len(e.others), MostKinds)]
	if before := h.expected.Load(); before != nil && before.bcryptCost == e.bcryptCost && slices.Equal(before.others, e.others) {
		return // whoever is at work keeps counting
	}
	memory := uint32(mostMemory)
	if len(e.others) > 0 {
		memory = slices.MaxFunc(e.others, func(a, b parameters) int { return cmp.Compare(a.memory, b.memory) }).memory
	}
	e.room = make(chan struct{}, otherMemory/memory)
	h.expected.Store(e)
}

// compare works out the password with every kind of parameters, one of which is
// that of the stored hash. One without a key matches nothing.
func (h *Argon2id) compare(stored phc, e *expectation, password string) bool {
	matches := h.try(stored, h.use, password)
	others := e.others
	if stored.parameters != h.use && !slices.Contains(others, stored.parameters) {
		others = append(slices.Clone(others), stored.parameters) // it was imported just now
	}
	if len(others) == 0 {
		return matches
	}
	e.room <- struct{}{} // whoever has it is at work and gives it back
	defer func() { <-e.room }()
	for _, p := range others {
		matches = h.try(stored, p, password) || matches
	}
	return matches
}

// try works out the password with the parameters p, and compares it if the
// stored hash has them.
func (h *Argon2id) try(stored phc, p parameters, password string) bool {
	if stored.parameters != p || len(stored.key) == 0 {
		h.derive(phc{parameters: p, salt: make([]byte, saltSize)}, keySize, password)
		return false
	}
	return subtle.ConstantTimeCompare(h.derive(stored, len(stored.key), password), stored.key) == 1
}
