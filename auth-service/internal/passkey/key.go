package passkey

import (
	"errors"
	"math/big"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Bounds of what is looked at. What a signature costs to check grows with the
// square of an RSA key and with its exponent, and a user chooses both: a key of
// 40,000 bytes took 12 s. Authenticators make keys of 2048 bits.
const (
	maxAnswer   = 8 << 10 // of a browser, in bytes
	minRSABits  = 2048
	maxRSABits  = 4096
	rsaExponent = 65537
)

// algorithms are those that a passkey may sign with, the preferred one first.
// Every authenticator has one of them.
func algorithms() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgEdDSA, webauthncose.AlgES256, webauthncose.AlgRS256} {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return out
}

// checkKey refuses a public key that we did not ask for, or that is dear to
// check signatures with. It goes before the first signature.
func checkKey(encoded []byte) error {
	key, err := webauthncose.ParsePublicKey(encoded)
	if err != nil {
		return errors.New("the key cannot be read")
	}
	var alg int64
	switch k := key.(type) {
	case webauthncose.OKPPublicKeyData:
		alg = k.Algorithm
	case webauthncose.EC2PublicKeyData:
		alg = k.Algorithm
	case webauthncose.RSAPublicKeyData:
		if err := checkRSA(k); err != nil {
			return err
		}
		alg = k.Algorithm
	}
	for _, a := range algorithms() {
		if int64(a.Algorithm) == alg {
			return nil
		}
	}
	return errors.New("the key has another algorithm")
}

func checkRSA(k webauthncose.RSAPublicKeyData) error {
	if len(k.Modulus) > maxRSABits/8+1 { // one more for a leading zero
		return errors.New("the RSA key is too long")
	}
	if bits := new(big.Int).SetBytes(k.Modulus).BitLen(); bits < minRSABits || bits > maxRSABits {
		return errors.New("the RSA key is too short or too long")
	}
	if e, err := webauthncose.ParseRSAPublicKeyDataExponent(&k); err != nil || e != rsaExponent {
		return errors.New("the RSA key has another exponent")
	}
	return nil
}

// checkStored refuses to check a signature with a stored key that is not good:
// it may be from before keys were checked.
func (u user) checkStored(credentialID []byte) error {
	for _, c := range u.credentials {
		if string(c.ID) == string(credentialID) {
			return checkKey(c.PublicKey)
		}
	}
	return nil // the library finds that there is none
}

// unattested takes an attestation away that nobody has asked for, and so nobody
// checks: by a certificate it could bring a key of any length. One that the key
// itself has signed shows that the browser has the key, and stays.
func unattested(o *protocol.AttestationObject) {
	_, certified := o.AttStatement["x5c"]
	if o.Format == string(protocol.AttestationFormatPacked) && !certified {
		return
	}
	o.Format, o.AttStatement, o.SubStatements = string(protocol.AttestationFormatNone), nil, nil
}
