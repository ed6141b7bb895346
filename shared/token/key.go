package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"gatehouse.internal/shared/contract"
)

// The algorithms that a key can be bound to. AlgEd25519 is RFC 9864's name
// for AlgEdDSA over Ed25519; see the package comment for when it counts.
const (
	AlgEdDSA   = "EdDSA"
	AlgEd25519 = "Ed25519"
	AlgES256   = "ES256"
	AlgRS256   = "RS256"
)

// Bounds of RSA keys: RFC 7518 section 3.3 asks for the lower one, the upper
// one bounds the work of a verification.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
)

// Key is a public key of the issuer, bound to one algorithm and one use.
type Key struct {
	ID        string
	Algorithm string
	Use       string // contract.KeyUseSignature or contract.KeyUseEvents
	Public    crypto.PublicKey

	p256 *p256Verifier // of a key of P-256 that was parsed; nil for others
}

// errForeignKey marks a JWK that is not for us: of a type, curve or use that
// we do not know. RFC 7517 section 5 asks to ignore those.
var errForeignKey = errors.New("key is of a kind that is not used here")

// equal reports whether both are the same key, for the same.
func (k Key) equal(other Key) bool {
	same, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Algorithm == other.Algorithm && k.Use == other.Use && same.Equal(other.Public)
}

// privateMembers are members that only a private or shared key has.
func privateMembers() []string { return []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} }

// parseKey reads one JWK. It returns errForeignKey for keys to be ignored and
// another error for keys that are ours but not fit for use.
func parseKey(data []byte) (Key, error) {
	m, err := parseObject(data)
	if err != nil {
		return Key{}, err
	}
	kty, err := m.text("kty")
	if err != nil {
		return Key{}, err
	}
	if kty != "OKP" && kty != "EC" && kty != "RSA" {
		return Key{}, errForeignKey
	}
	for _, name := range privateMembers() {
		if _, present := m.get(name); present {
			return Key{}, errors.New("key was published with a private member")
		}
	}
	key := Key{ID: m.optional("kid"), Use: m.optional("use")}
	if key.ID == "" || len(key.ID) > maxKeyID {
		return Key{}, errors.New("key has no usable kid")
	}
	if key.Use == "" {
		key.Use = contract.KeyUseSignature
	}
	if (key.Use != contract.KeyUseSignature && key.Use != contract.KeyUseEvents) || !m.mayVerify() {
		return Key{}, errForeignKey
	}
	if err := key.bind(kty, m); err != nil {
		return Key{}, fmt.Errorf("key %q: %w", key.ID, err)
	}
	return key, nil
}

// optional returns a string member, and "" if it is absent or no string.
func (m members) optional(name string) string {
	out, _ := m.text(name)
	return out
}

// mayVerify reports whether key_ops, when there, allows to verify.
func (m members) mayVerify() bool {
	value, ok := m.get("key_ops")
	if !ok {
		return true
	}
	operations, ok := parseTexts(value)
	return ok && slices.Contains(operations, "verify")
}

// bind fills in the public key and its one algorithm.
func (k *Key) bind(kty string, m members) error {
	var err error
	switch kty {
	case "OKP":
		k.Algorithm = AlgEdDSA
		k.Public, err = ed25519Key(m)
	case "EC":
		k.Algorithm = AlgES256
		var public *ecdsa.PublicKey
		public, err = p256Key(m)
		k.Public, k.p256 = public, &p256Verifier{public: public}
	case "RSA":
		k.Algorithm = AlgRS256
		k.Public, err = rsaKey(m)
	}
	if err != nil {
		return err
	}
	if _, present := m.get("alg"); !present {
		return nil
	}
	alg := m.optional("alg")
	if alg == AlgEd25519 && k.Algorithm == AlgEdDSA {
		k.Algorithm = AlgEd25519
	}
	if alg != k.Algorithm {
		return errForeignKey
	}
	return nil
}

func ed25519Key(m members) (crypto.PublicKey, error) {
	if m.optional("crv") != "Ed25519" {
		return nil, errForeignKey
	}
	x, err := decodeBase64(m.optional("x"))
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("x is not an Ed25519 public key")
	}
	return ed25519.PublicKey(x), nil
}

func p256Key(m members) (*ecdsa.PublicKey, error) {
	if m.optional("crv") != "P-256" {
		return nil, errForeignKey
	}
	x, errX := decodeBase64(m.optional("x"))
	y, errY := decodeBase64(m.optional("y"))
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("x and y are not coordinates of 32 bytes")
	}
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, errors.New("x and y are not a point of the curve")
	}
	return key, nil
}

func rsaKey(m members) (crypto.PublicKey, error) {
	n, errN := decodeBase64(m.optional("n"))
	e, errE := decodeBase64(m.optional("e"))
	if errN != nil || errE != nil || len(e) > 4 || n[0] == 0 {
		return nil, errors.New("n and e are not an RSA public key")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return nil, fmt.Errorf("RSA modulus of %d bits is not within %d and %d", bits, minRSABits, maxRSABits)
	}
	if key.N.Bit(0) == 0 || key.E < minRSAExponent || key.E%2 == 0 || key.E > 1<<31-1 {
		return nil, errors.New("n and e are not an RSA public key")
	}
	return key, nil
}
