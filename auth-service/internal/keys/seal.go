package keys

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// EncryptionKeySize is the length of the key that private keys are stored
// under.
const EncryptionKeySize = chacha20poly1305.KeySize

// sealVersion is the first byte of what seal gives.
const sealVersion = 1

var errSealed = errors.New("cannot be decrypted: neither AUTH_ENCRYPTION_KEY nor one of AUTH_ENCRYPTION_KEY_OTHERS is the one it was stored with, or the row was altered")

// sealer encrypts private keys for storage, and decrypts what was encrypted with
// another key that is known.
type sealer struct {
	aead   cipher.AEAD
	others []cipher.AEAD
}

func newSealer(key []byte, others ...[]byte) (sealer, error) {
	var all []cipher.AEAD
	for _, k := range append([][]byte{key}, others...) {
		aead, err := chacha20poly1305.NewX(k)
		if err != nil {
			return sealer{}, fmt.Errorf("encryption key has %d bytes, not %d", len(k), EncryptionKeySize)
		}
		all = append(all, aead)
	}
	return sealer{aead: all[0], others: all[1:]}, nil
}

// current reports whether the key of a record is encrypted with the key in use.
func (s sealer) current(r Record) bool {
	plain, err := decrypt(s.aead, r)
	clear(plain)
	return err == nil
}

// decrypt opens the envelope of a sealed key.
func decrypt(aead cipher.AEAD, r Record) ([]byte, error) {
	head := 1 + aead.NonceSize()
	if len(r.Sealed) < head {
		return nil, errSealed
	}
	return aead.Open(nil, r.Sealed[1:head], r.Sealed[head:], bound(r.KeyID, r.Use))
}

// bound is what a sealed key is bound to: it opens for no other id or use.
func bound(kid, use string) []byte { return []byte("gatehouse signing key\x00" + use + "\x00" + kid) }

// seal gives a version byte, a random nonce, and the encrypted PKCS #8 key.
func (s sealer) seal(p *Private, use string) ([]byte, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(p.signer)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	defer clear(plain)
	out := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	out[0] = sealVersion
	if _, err := rand.Read(out[1:]); err != nil {
		return nil, fmt.Errorf("make nonce: %w", err)
	}
	return s.aead.Seal(out, out[1:], plain, bound(p.KeyID(), use)), nil
}

// open decrypts the private key of a record and makes sure that it is the one
// whose id the record bears.
func (s sealer) open(r Record) (*Private, error) {
	head := 1 + s.aead.NonceSize()
	if len(r.Sealed) < head || r.Sealed[0] != sealVersion {
		return nil, fmt.Errorf("key %s has no sealed private key of a known form", r.KeyID)
	}
	plain, err := decrypt(s.aead, r)
	for _, other := range s.others {
		if err != nil {
			plain, err = decrypt(other, r)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key %s %w", r.KeyID, errSealed)
	}
	defer clear(plain)
	signer, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("key %s: decode private key: %w", r.KeyID, err)
	}
	p, err := newPrivate(signer)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", r.KeyID, err)
	}
	if p.KeyID() != r.KeyID || p.Algorithm() != r.Algorithm {
		return nil, fmt.Errorf("key %s is stored with another key's id or algorithm", r.KeyID)
	}
	return p, nil
}
