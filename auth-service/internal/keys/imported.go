package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"gatehouse.internal/shared/contract"
)

// ParsePrivate reads a private key as operators have them: PEM with PKCS #8,
// PKCS #1 or SEC 1 inside, or a JWK (RFC 7517). Its type gives the algorithm.
// A kid in a JWK is not kept; ids are thumbprints. Errors hold nothing of the
// key.
func ParsePrivate(data []byte) (*Private, error) {
	data = bytes.TrimSpace(data)
	if bytes.HasPrefix(data, []byte("{")) {
		return parseJWK(data)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("signing key is neither a PEM private key nor a JWK")
		}
		if signer, found, err := parseBlock(block); err != nil {
			return nil, err
		} else if found {
			return newPrivate(signer)
		}
	}
}

// parseBlock reads one PEM block; found is false for one that holds no key,
// like the EC PARAMETERS that openssl puts first.
func parseBlock(block *pem.Block) (signer any, found bool, err error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, true, errors.New("signing key is encrypted with a password; give it without")
	}
	switch block.Type {
	case "PRIVATE KEY":
		signer, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		signer, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		signer, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("decode PEM block %q: malformed or unsupported key", block.Type)
	}
	return signer, true, nil
}

// privateJWK has the members of private keys beside the public ones.
type privateJWK struct {
	contract.JWK
	D string `json:"d"`
	P string `json:"p"`
	Q string `json:"q"`
}

var errJWK = errors.New("signing key is not a JWK with a consistent private key of type OKP, EC or RSA")

func parseJWK(data []byte) (*Private, error) {
	var k privateJWK
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, errJWK // the cause could quote the key
	}
	signer, err := k.signer()
	if err != nil {
		return nil, err
	}
	p, err := newPrivate(signer)
	if err != nil {
		return nil, err
	}
	if p.KeyID() != thumbprint(k.JWK) {
		return nil, errJWK // the public half is another key's
	}
	if k.Algorithm != "" && k.Algorithm != p.algorithm && (k.Algorithm != "Ed25519" || k.KeyType != "OKP") {
		return nil, fmt.Errorf("signing key says alg %q, but its type signs with %s", k.Algorithm, p.algorithm)
	}
	if k.Use != "" && k.Use != contract.KeyUseSignature {
		return nil, fmt.Errorf("signing key says use %q, not %q", k.Use, contract.KeyUseSignature)
	}
	return p, nil
}

// signer builds the private key from d, and for RSA from the primes.
func (k *privateJWK) signer() (any, error) {
	d, err := base64.RawURLEncoding.DecodeString(k.D)
	if err != nil || len(d) == 0 {
		return nil, errJWK
	}
	switch k.KeyType + " " + k.Curve {
	case "OKP Ed25519":
		if len(d) != ed25519.SeedSize {
			return nil, errJWK
		}
		return ed25519.NewKeyFromSeed(d), nil
	case "EC P-256":
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
		if err != nil {
			return nil, errJWK
		}
		return key, nil
	case "RSA ":
		return k.rsaKey(d)
	}
	return nil, errJWK
}

func (k *privateJWK) rsaKey(d []byte) (any, error) {
	n, errN := base64.RawURLEncoding.DecodeString(k.N)
	e, errE := base64.RawURLEncoding.DecodeString(k.E)
	p, errP := base64.RawURLEncoding.DecodeString(k.P)
	q, errQ := base64.RawURLEncoding.DecodeString(k.Q)
	if errors.Join(errN, errE, errP, errQ) != nil || len(e) > 4 || len(n) > maxRSABits/8 || len(p) == 0 || len(q) == 0 {
		return nil, errJWK
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())},
		D:         new(big.Int).SetBytes(d),
		Primes:    []*big.Int{new(big.Int).SetBytes(p), new(big.Int).SetBytes(q)},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, errJWK
	}
	return key, nil
}
