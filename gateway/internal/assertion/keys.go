package assertion

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// Keys are the key that signs, and all whose signatures upstreams accept.
type Keys struct {
	private ed25519.PrivateKey
	id      string
	set     []byte
}

// jwk is a public key as RFC 8037 has it.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
}

// Generate makes a key of its own for this process.
func Generate() (*Keys, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a key for assertions: %w", err)
	}
	return newKeys([]ed25519.PublicKey{publicOf(private)}, private)
}

// Parse reads Ed25519 keys in PEM: a PRIVATE KEY (PKCS #8) that signs, and
// behind it PUBLIC KEYs or further PRIVATE KEYs that are only published, of
// which one may sign on another node or will sign next. Errors hold no part of
// a key.
func Parse(text string) (*Keys, error) {
	var private ed25519.PrivateKey
	var public []ed25519.PublicKey
	rest := bytes.TrimSpace([]byte(text))
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("not PEM")
		}
		rest = bytes.TrimSpace(rest)
		switch key, err := parseBlock(block); key := key.(type) {
		case ed25519.PrivateKey:
			if private == nil && len(public) == 0 {
				private = key
			}
			public = append(public, publicOf(key))
		case ed25519.PublicKey:
			public = append(public, key)
		default:
			return nil, fmt.Errorf("block %d is not an Ed25519 key: %w", len(public)+1, errors.Join(err, errors.ErrUnsupported))
		}
	}
	if private == nil {
		return nil, errors.New("the first key is not a private one")
	}
	return newKeys(public, private)
}

// publicOf gives the public half, which is the second one of a private key.
func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	return nil, nil
}

func newKeys(public []ed25519.PublicKey, private ed25519.PrivateKey) (*Keys, error) {
	k := &Keys{private: private}
	var all struct {
		Keys []jwk `json:"keys"`
	}
	for _, key := range public {
		x := base64.RawURLEncoding.EncodeToString(key)
		// The id is the key's thumbprint (RFC 7638, RFC 8037 appendix A.3), so
		// that all nodes give it the same.
		sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
		all.Keys = append(all.Keys, jwk{
			KeyType: "OKP", Curve: "Ed25519", X: x, ID: base64.RawURLEncoding.EncodeToString(sum[:]), Algorithm: "EdDSA", Use: "sig",
		})
	}
	k.id = all.Keys[0].ID
	var err error
	if k.set, err = json.Marshal(all); err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	return k, nil
}

// Set is the key set (RFC 7517) by which upstreams verify.
func (k *Keys) Set() []byte { return k.set }
