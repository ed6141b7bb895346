package proxybench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// The parties of the tokens.
const (
	issuerName = "http://issuer.bench"
	audience   = "bench"
)

// signer makes access tokens like those of the auth-service, whose signing key
// it shares.
type signer struct {
	algorithm string
	key       crypto.Signer
	kid       string // as the auth-service has named the key
	private   string // PEM
	public    string // file with a PEM
}

func newSigner(folder, algorithm string) (*signer, error) {
	s := &signer{algorithm: algorithm, public: filepath.Join(folder, algorithm+".pem")}
	var err error
	if algorithm == token.AlgRS256 {
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	s.private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err := os.WriteFile(s.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return s, nil
}

// sign makes a token of its own session and user.
func (s *signer) sign() (string, error) {
	now := time.Now()
	header, err := json.Marshal(map[string]any{"alg": s.algorithm, "typ": contract.TokenType, "kid": s.kid})
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	claims, err := json.Marshal(map[string]any{
		"iss": issuerName, "aud": []string{audience}, "client_id": contract.ClientPeople, "sub": newID(), "sid": newID(), "jti": newID(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
		"roles": []string{contract.RoleUser}, "ver": 1, "email_verified": true, "amr": []string{"pwd"},
	})
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	signature, err := s.signature([]byte(text))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (s *signer) signature(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	key, elliptical := s.key.(*ecdsa.PrivateKey)
	if !elliptical {
		return s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	a, b, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	return join(a, b), nil
}

// join writes the two numbers of an ECDSA signature as RFC 7518 section 3.4
// has it, the second one being the lesser of the two that are good: the gateway
// knows one spelling of a token.
func join(a, b *big.Int) []byte {
	order := elliptic.P256().Params().N
	if other := new(big.Int).Sub(order, b); other.Cmp(b) < 0 {
		b = other
	}
	out := make([]byte, 64)
	a.FillBytes(out[:32])
	b.FillBytes(out[32:])
	return out
}

// signMany makes n tokens, on all processors.
func (s *signer) signMany(n int) ([]string, error) {
	const workers = 4
	var (
		tokens = make([]string, n)
		next   atomic.Int64
		group  sync.WaitGroup
		errs   [workers]error
	)
	for i := range workers {
		group.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= n {
					return
				}
				if tokens[at], errs[i] = s.sign(); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// always gives one token for every request.
func always(text string) func() (string, bool) { return func() (string, bool) { return text, true } }

// inTurn gives each of the tokens in turn, again and again or once.
func inTurn(tokens []string, once bool) func() (string, bool) {
	var next atomic.Int64
	return func() (string, bool) {
		at := int(next.Add(1)) - 1
		if once && at >= len(tokens) {
			return "", false
		}
		return tokens[at%len(tokens)], true
	}
}
