package token

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// es256Size is the length of an ES256 signature, r and s of 32 bytes each
// (RFC 7518 section 3.4).
const es256Size = 64

var errSignature = errors.New("signature does not verify")

// verify checks a signature over text. The method follows from the key, never
// from the token.
func (k Key) verify(text string, signature []byte) error {
	var method jwt.SigningMethod
	switch k.Algorithm {
	case AlgEdDSA, AlgEd25519:
		method = jwt.SigningMethodEdDSA
	case AlgES256:
		method = jwt.SigningMethodES256
		if len(signature) != es256Size || !lowS(signature) {
			return errors.New("signature is not in the form r||s with a low s")
		}
		if k.p256 != nil {
			return k.p256.check(text, signature)
		}
	case AlgRS256:
		method = jwt.SigningMethodRS256
	default:
		return errors.New("key has an algorithm that is not used here")
	}
	if err := method.Verify(text, signature, k.Public); err != nil {
		return errSignature
	}
	return nil
}

// lowS reports whether s of an ES256 signature is in the lower half of the
// curve's order. With s, n-s verifies too, so a token would have two spellings.
func lowS(signature []byte) bool {
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1)
	return bytes.Compare(signature[es256Size/2:], half.FillBytes(make([]byte, es256Size/2))) <= 0
}

// NormalizeES256 gives a signature r||s its low s, as Verify wants it.
// Signatures of another length are left alone.
func NormalizeES256(signature []byte) {
	if len(signature) != es256Size || lowS(signature) {
		return
	}
	s := new(big.Int).SetBytes(signature[es256Size/2:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[es256Size/2:])
}
