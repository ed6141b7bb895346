package trail

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"
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

// Kept is when the trail was kept last, with the seal of who says so.
type Kept struct {
	At   time.Time
	Seal []byte
}

// keep seals a time.
func (s *Sealer) keep(at time.Time) Kept {
	return Kept{At: at, Seal: sumTime(s.keys[0], at)}
}

// kept returns the time of a seal that is ours, and otherwise the zero time.
func (s *Sealer) kept(k Kept) time.Time {
	for _, key := range s.keys {
		if hmac.Equal(k.Seal, sumTime(key, k.At)) {
			return k.At
		}
	}
	return time.Time{}
}

func sumTime(key []byte, at time.Time) []byte {
	h := hmac.New(sha256.New, key)
	write(h, "gatehouse audit time, 1", number(uint64(at.UnixMicro())))
	return h.Sum(nil)
}

// boundEraser is what a wrapped key is bound to.
var boundEraser = []byte("gatehouse audit erasure key, 1")

// newEraser makes the key of an eraser.
func newEraser() eraser {
	x := eraser{key: make([]byte, KeySize)}
	_, _ = rand.Read(x.key) // never fails
	return x
}

// wrap encrypts the key of an eraser for storage.
func (s *Sealer) wrap(x eraser) ([]byte, error) {
	aead, err := wrapping(s.keys[0])
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, x.key, boundEraser), nil
}

// unwrap opens the stored key of an eraser, and reports whether it is encrypted
// with the key that seals now. Where there is none yet that is an eraser which
// has erased nothing.
func (s *Sealer) unwrap(stored []byte) (x eraser, current bool, err error) {
	if len(stored) == 0 {
		return eraser{}, false, nil
	}
	for i, key := range s.keys {
		aead, err := wrapping(key)
		if err != nil {
			return eraser{}, false, err
		}
		if plain, err := aead.Open(nil, nil, stored, boundEraser); err == nil {
			return eraser{key: plain}, i == 0, nil
		}
	}
	return eraser{}, false, errors.New("the key of the pseudonyms in the audit trail does not open: it was altered, or AUTH_ENCRYPTION_KEY is not the one it was stored with")
}

func wrapping(key []byte) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, key)
	write(h, "gatehouse audit wrapping, 1")
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
