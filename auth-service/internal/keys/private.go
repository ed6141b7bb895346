package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// Sizes of RSA keys: that of ours, and the bounds of imported ones.
const (
	rsaBits    = 2048
	maxRSABits = 8192
)

// Private is a private key of a kind that can sign access tokens.
type Private struct {
	signer    crypto.Signer
	algorithm string
	public    contract.JWK // with kid and alg, without use
}

// KeyID returns the key's RFC 7638 thumbprint.
func (p *Private) KeyID() string { return p.public.KeyID }

// Algorithm returns the one algorithm that the key signs with.
func (p *Private) Algorithm() string { return p.algorithm }

// String keeps the private half out of logs.
func (p *Private) String() string { return "private key " + p.KeyID() }

// generate makes a new key for an algorithm.
func generate(algorithm string) (*Private, error) {
	var signer crypto.Signer
	var err error
	switch algorithm {
	case token.AlgEdDSA:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	case token.AlgES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case token.AlgRS256:
		signer, err = rsa.GenerateKey(rand.Reader, rsaBits)
	default:
		return nil, fmt.Errorf("signing algorithm %q is not EdDSA, ES256 or RS256", algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", algorithm, err)
	}
	return newPrivate(signer)
}

// newPrivate works out a key's algorithm, public half and id from its type.
func newPrivate(signer any) (*Private, error) {
	p := &Private{}
	switch key := signer.(type) {
	case ed25519.PrivateKey:
		p.signer, p.algorithm = key, token.AlgEdDSA
		p.public = contract.JWK{KeyType: "OKP", Curve: "Ed25519", X: encode(key[ed25519.SeedSize:])}
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("EC key is on curve %s, not P-256", key.Curve.Params().Name)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encode EC point: %w", err)
		}
		p.signer, p.algorithm = key, token.AlgES256
		p.public = contract.JWK{KeyType: "EC", Curve: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < rsaBits || bits > maxRSABits {
			return nil, fmt.Errorf("RSA key of %d bits is not within %d and %d", bits, rsaBits, maxRSABits)
		}
		p.signer, p.algorithm = key, token.AlgRS256
		p.public = contract.JWK{KeyType: "RSA", N: encode(key.N.Bytes()), E: encode(big.NewInt(int64(key.E)).Bytes())}
	default:
		return nil, fmt.Errorf("key of type %T is not Ed25519, EC or RSA", signer)
	}
	p.public.KeyID = thumbprint(p.public)
	p.public.Algorithm = p.algorithm
	return p, nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// thumbprint is RFC 7638: the SHA-256 of the required members in order.
func thumbprint(k contract.JWK) string {
	var members any
	switch k.KeyType {
	case "OKP":
		members = struct {
			Curve   string `json:"crv"`
			KeyType string `json:"kty"`
			X       string `json:"x"`
		}{k.Curve, k.KeyType, k.X}
	case "EC":
		members = struct {
			Curve   string `json:"crv"`
			KeyType string `json:"kty"`
			X       string `json:"x"`
			Y       string `json:"y"`
		}{k.Curve, k.KeyType, k.X, k.Y}
	default:
		members = struct {
			E       string `json:"e"`
			KeyType string `json:"kty"`
			N       string `json:"n"`
		}{k.E, k.KeyType, k.N}
	}
	canonical, _ := json.Marshal(members) // strings alone cannot fail
	sum := sha256.Sum256(canonical)
	return encode(sum[:])
}
