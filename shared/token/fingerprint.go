package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"unsafe"
)

// fingerprint stands for a token.
type fingerprint [16]byte

// fingerprints tell tokens apart by GMAC (NIST SP 800-38D) under a key that
// nobody knows, which costs a fraction of a hash. With a nonce that stays the
// same it is a universal hash: two texts of up to MaxBytes, chosen by somebody
// who has seen no fingerprint, and none ever leaves the process, have the same
// one with a probability of less than 2^-118 (a block count over 2^128: McGrew
// and Viega, The Security and Performance of the Galois/Counter Mode of
// Operation, 2004). Where the standard library refuses a nonce of one's own
// (GODEBUG=fips140=only), half of a SHA-256 takes its place.
type fingerprints struct {
	mac    cipher.AEAD // nil for none
	memory sync.Pool   // of *fingerprint: what goes through an interface would be allocated
}

var sameNonce [12]byte

func newFingerprints() *fingerprints {
	f := &fingerprints{memory: sync.Pool{New: func() any { return new(fingerprint) }}}
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return f
	}
	if mac, err := cipher.NewGCM(block); err == nil {
		f.mac = mac
	}
	return f
}

// of gives the fingerprint of a token.
func (f *fingerprints) of(raw string) fingerprint {
	text := unsafe.Slice(unsafe.StringData(raw), len(raw)) // which is only read; a conversion would copy it
	if f.mac == nil {
		sum := sha256.Sum256(text)
		return fingerprint(sum[:len(fingerprint{})])
	}
	lent, _ := f.memory.Get().(*fingerprint) // it holds nothing else
	f.mac.Seal(lent[:0], sameNonce[:], nil, text)
	tag := *lent
	f.memory.Put(lent)
	return tag
}
