package trail

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
)

// KeySize is the least length of a key in bytes.
const KeySize = 32

// Sealer proves marks with a key that the database does not hold.
type Sealer struct{ keys [][]byte }

// NewSealer seals with the first key, and knows the seals of the others: those
// that were used before.
func NewSealer(key []byte, earlier ...[]byte) (*Sealer, error) {
	s := &Sealer{keys: append([][]byte{key}, earlier...)}
	for _, k := range s.keys {
		if len(k) < KeySize {
			return nil, errors.New("seal the audit trail: a key has less than 32 bytes")
		}
	}
	return s, nil
}

// Places of marks. A seal is good for its place alone.
const (
	placeStart = "start"
	placeHead  = "head"
)

// seal returns the mark with its seal.
func (s *Sealer) seal(place string, m Mark) Mark {
	m.Seal = sum(s.keys[0], place, m)
	return m
}

// good reports whether the seal of a mark is ours. What comes before the first
// entry needs none.
func (s *Sealer) good(place string, m Mark) bool {
	if m.Number == 0 {
		return m.Hash == [32]byte{}
	}
	for _, key := range s.keys {
		if hmac.Equal(m.Seal, sum(key, place, m)) {
			return true
		}
	}
	return false
}

// current reports whether the seal is of the key that seals now.
func (s *Sealer) current(place string, m Mark) bool {
	return m.Number == 0 || hmac.Equal(m.Seal, sum(s.keys[0], place, m))
}

func sum(key []byte, place string, m Mark) []byte {
	h := hmac.New(sha256.New, key)
	write(h, "gatehouse audit mark, 1", place, number(m.Number), string(m.Hash[:]))
	return h.Sum(nil)
}
