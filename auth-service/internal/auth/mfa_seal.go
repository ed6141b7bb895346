package auth

import (
	"crypto/cipher"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealer encrypts the secrets of second factors for storage, with the newest
// of its keys, and opens what was sealed with any of them.
type sealer struct{ aeads []cipher.AEAD }

// sealVersion is the first byte of what seal gives.
const sealVersion = 1

func newSealer(keys [][]byte) (sealer, error) {
	var s sealer
	for i, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return sealer{}, fmt.Errorf("auth service: key %d for second factors has %d bytes, not %d", i+1, len(key), chacha20poly1305.KeySize)
		}
		s.aeads = append(s.aeads, aead)
	}
	if len(s.aeads) == 0 {
		return sealer{}, errors.New("auth service: it needs a key for second factors")
	}
	return s, nil
}

// boundTOTP is what a sealed secret is bound to: it opens for no other user.
func boundTOTP(userID string) []byte { return []byte("gatehouse totp secret\x00" + userID) }

// seal gives a version byte, a random nonce and the encrypted text.
func (w *work) seal(plain, bound []byte) []byte {
	aead := w.svc.factorKeys.aeads[0]
	out := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0] = sealVersion
	w.fill(out[1:])
	return aead.Seal(out, out[1:], plain, bound)
}

// current reports whether the newest key sealed it.
func (s sealer) current(sealed, bound []byte) bool {
	plain, err := sealer{aeads: s.aeads[:1]}.open(sealed, bound)
	clear(plain)
	return err == nil
}

// open decrypts what seal gave for the same purpose.
func (s sealer) open(sealed, bound []byte) ([]byte, error) {
	for _, aead := range s.aeads {
		head := 1 + aead.NonceSize()
		if len(sealed) < head || sealed[0] != sealVersion {
			break
		}
		if plain, err := aead.Open(nil, sealed[1:head], sealed[head:], bound); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("the secret of a second factor cannot be decrypted: AUTH_ENCRYPTION_KEY is not the one it was stored with, or the row was altered")
}
