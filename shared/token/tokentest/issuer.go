// Package tokentest has an issuer for tests: it signs access tokens, good ones
// and any others, and publishes its key set as an auth-service does. It is for
// tests alone.
package tokentest

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
	"math/big"
	"net/http"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// Issuer and audience of the claims that Claims gives.
const (
	IssuerURL = "https://issuer.test"
	Audience  = "gatehouse-api"
)

// Issuer signs with one key, and has another for revocation events.
type Issuer struct {
	KeyID     string
	Algorithm string
	Key       crypto.Signer

	EventKeyID string
	EventKey   ed25519.PrivateKey
}

// New returns an issuer with fresh keys for EdDSA, ES256 or RS256.
func New(t testing.TB, algorithm string) *Issuer {
	t.Helper()
	i := &Issuer{KeyID: "test-" + rand.Text(), Algorithm: algorithm, EventKeyID: "events-" + rand.Text()}
	var err error
	switch algorithm {
	case token.AlgES256:
		i.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case token.AlgRS256:
		i.Key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		_, i.Key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err == nil {
		_, i.EventKey, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatalf("make keys of a test issuer: %v", err)
	}
	return i
}

// Settings accept the issuer's tokens.
func Settings() token.Settings { return token.Settings{Issuer: IssuerURL, Audience: Audience} }

// Verifier returns a verifier that accepts the issuer's tokens.
func (i *Issuer) Verifier(t testing.TB, now func() time.Time) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(Settings(), i.Set(t), now)
	if err != nil {
		t.Fatalf("make a verifier: %v", err)
	}
	return v
}

// Claims are those of a person with the role user, signed in just now.
func Claims(now time.Time) contract.Claims {
	return contract.Claims{
		Issuer: IssuerURL, Audience: []string{Audience}, ClientID: contract.ClientPeople,
		Subject:   "01890a5d-ac96-774b-bcce-b302099a8057",
		SessionID: "01890a5d-ac96-774b-bcce-b302099a8058",
		TokenID:   "01890a5d-ac96-774b-bcce-b302099a8059",
		IssuedAt:  now, NotBefore: now, ExpiresAt: now.Add(15 * time.Minute),
		Roles: []string{contract.RoleUser}, Version: 1, EmailVerified: true, Methods: []string{"pwd"},
	}
}

// Members are the claims as they stand in a token; tests change what they like.
func Members(c contract.Claims) map[string]any {
	m := map[string]any{
		"iss": c.Issuer, "aud": c.Audience, "client_id": c.ClientID,
		"sub": c.Subject, "sid": c.SessionID, "jti": c.TokenID,
		"iat": c.IssuedAt.Unix(), "exp": c.ExpiresAt.Unix(),
		"roles": append([]string{}, c.Roles...), "ver": c.Version,
		"email_verified": c.EmailVerified, "amr": append([]string{}, c.Methods...),
	}
	if !c.NotBefore.IsZero() {
		m["nbf"] = c.NotBefore.Unix()
	}
	if len(c.Withheld) > 0 {
		m["mfa_roles"] = c.Withheld
	}
	return m
}

// Header is the header of the issuer's tokens.
func (i *Issuer) Header() map[string]any {
	return map[string]any{"alg": i.Algorithm, "typ": contract.TokenType, "kid": i.KeyID}
}

// Token returns a signed token with the claims.
func (i *Issuer) Token(c contract.Claims) string {
	return i.Sign(Text(i.Header()), Text(Members(c)))
}

// Sign returns a token whose header and payload are exactly those bytes, with
// a good signature of the issuer's key.
func (i *Issuer) Sign(header, payload string) string {
	text := Encode([]byte(header)) + "." + Encode([]byte(payload))
	return text + "." + Encode(i.Signature(text))
}

// Signature signs text with the issuer's key and algorithm.
func (i *Issuer) Signature(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	var out []byte
	var err error
	switch key := i.Key.(type) {
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, key, sum[:])
		out, err = make([]byte, 64), signErr
		if err == nil {
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			token.NormalizeES256(out)
		}
	case *rsa.PrivateKey:
		out, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case ed25519.PrivateKey:
		out = ed25519.Sign(key, []byte(text))
	}
	if err != nil {
		panic(err) // keys of a test, made by New
	}
	return out
}

// JWK is the public key for a use.
func JWK(public crypto.PublicKey, kid, use string) contract.JWK {
	k := contract.JWK{KeyID: kid, Use: use}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		k.KeyType, k.Curve, k.Algorithm = "EC", "P-256", token.AlgES256
		point, _ := key.Bytes() // a key of P-256 has them
		k.X, k.Y = Encode(point[1:33]), Encode(point[33:])
	case *rsa.PublicKey:
		k.KeyType, k.Algorithm = "RSA", token.AlgRS256
		k.N, k.E = Encode(key.N.Bytes()), Encode(big.NewInt(int64(key.E)).Bytes())
	case ed25519.PublicKey:
		k.KeyType, k.Curve, k.Algorithm = "OKP", "Ed25519", token.AlgEdDSA
		k.X = Encode(key)
	}
	return k
}

// JWKS is the issuer's key set document.
func (i *Issuer) JWKS() []byte {
	return []byte(Text(contract.JWKSet{Keys: []contract.JWK{
		JWK(i.Key.Public(), i.KeyID, contract.KeyUseSignature),
		JWK(i.EventKey.Public(), i.EventKeyID, contract.KeyUseEvents),
	}}))
}

// Set is the issuer's key set.
func (i *Issuer) Set(t testing.TB) *token.Set {
	t.Helper()
	set, err := token.ParseSet(i.JWKS())
	if err != nil {
		t.Fatalf("read the test issuer's key set: %v", err)
	}
	return set
}

// ServeHTTP answers every request with the key set.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(i.JWKS()) // a client that went away is no matter
}

// Encode is base64url without padding.
func Encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// Text is the JSON text of v.
func Text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own value
	}
	return string(out)
}
