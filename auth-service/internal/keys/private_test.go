package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

func TestThumbprint_ExamplesOfTheStandards(t *testing.T) {
	for _, c := range []struct {
		name string
		key  contract.JWK
		want string
	}{
		{"RFC 7638 section 3.1", contract.JWK{KeyType: "RSA", E: "AQAB", N: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", Algorithm: "RS256", KeyID: "2011-04-29"}, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037 appendix A.3", contract.JWK{KeyType: "OKP", Curve: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		if got := thumbprint(c.key); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// samples has one private key of each type.
type samples struct {
	ed  ed25519.PrivateKey
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

func newSamples(t *testing.T) samples {
	t.Helper()
	var s samples
	var err [3]error
	_, s.ed, err[0] = ed25519.GenerateKey(rand.Reader)
	s.ec, err[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.rsa, err[2] = rsa.GenerateKey(rand.Reader, rsaBits)
	for _, err := range err {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err) // a test's own key
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pemOf("PRIVATE KEY", der, err)
}

func sec1(key *ecdsa.PrivateKey) string {
	der, err := x509.MarshalECPrivateKey(key)
	return pemOf("EC PRIVATE KEY", der, err)
}

// jwkOf is the private JWK of a key, with changes by name.
func jwkOf(t *testing.T, signer crypto.Signer, changes ...string) string {
	t.Helper()
	p, err := newPrivate(signer)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{"kty": p.public.KeyType, "crv": p.public.Curve, "x": p.public.X, "y": p.public.Y, "n": p.public.N, "e": p.public.E, "kid": "my key"}
	switch key := signer.(type) {
	case ed25519.PrivateKey:
		m["d"] = encode(key.Seed())
	case *ecdsa.PrivateKey:
		raw, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		m["d"] = encode(raw)
	case *rsa.PrivateKey:
		m["d"], m["p"], m["q"] = encode(key.D.Bytes()), encode(key.Primes[0].Bytes()), encode(key.Primes[1].Bytes())
	}
	for name, value := range m {
		if value == "" {
			delete(m, name)
		}
	}
	for i := 0; i < len(changes); i += 2 {
		m[changes[i]] = changes[i+1]
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestParsePrivate_TakesKeysAsOperatorsHaveThem(t *testing.T) {
	s := newSamples(t)
	for _, c := range []struct {
		name, data, algorithm string
		signer                crypto.Signer
	}{
		{"Ed25519 in PKCS #8", pkcs8(s.ed), token.AlgEdDSA, s.ed},
		{"EC in PKCS #8", pkcs8(s.ec), token.AlgES256, s.ec},
		{"RSA in PKCS #8", pkcs8(s.rsa), token.AlgRS256, s.rsa},
		{"RSA in PKCS #1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(s.rsa), nil), token.AlgRS256, s.rsa},
		{"EC in SEC 1", sec1(s.ec), token.AlgES256, s.ec},
		{"EC behind its parameters, as openssl writes it", pemOf("EC PARAMETERS", []byte{6, 8}, nil) + sec1(s.ec), token.AlgES256, s.ec},
		{"PEM behind text and space", "\n  my key\n" + pkcs8(s.ed) + "\n\n", token.AlgEdDSA, s.ed},
		{"Ed25519 in a JWK", jwkOf(t, s.ed), token.AlgEdDSA, s.ed},
		{"Ed25519 in a JWK of RFC 9864", jwkOf(t, s.ed, "alg", "Ed25519"), token.AlgEdDSA, s.ed},
		{"EC in a JWK", " " + jwkOf(t, s.ec, "alg", "ES256", "use", "sig") + "\n", token.AlgES256, s.ec},
		{"RSA in a JWK", jwkOf(t, s.rsa, "alg", "RS256"), token.AlgRS256, s.rsa},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ParsePrivate([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			if p.Algorithm() != c.algorithm || p.KeyID() != thumbprint(p.public) {
				t.Errorf("got %s with id %s, want %s with its thumbprint", p.Algorithm(), p.KeyID(), c.algorithm)
			}
			same, ok := c.signer.Public().(interface{ Equal(crypto.PublicKey) bool })
			if !ok || !same.Equal(p.signer.Public()) {
				t.Error("it is another key")
			}
		})
	}
}

func TestParsePrivate_RefusesWhatCannotSign(t *testing.T) {
	s, other := newSamples(t), newSamples(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(s.ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	encrypted := strings.Replace(sec1(s.ec), "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1)
	for _, c := range []struct{ name, data string }{
		{"nothing", ""},
		{"a word", "secret"},
		{"a public key", pemOf("PUBLIC KEY", public, nil)},
		{"a password-protected key", pemOf("ENCRYPTED PRIVATE KEY", []byte("x"), nil)},
		{"a password-protected key of old", encrypted},
		{"P-384", pkcs8(p384)},
		{"broken PKCS #8", pemOf("PRIVATE KEY", []byte("secret"), nil)},
		{"broken PKCS #1", pemOf("RSA PRIVATE KEY", []byte("secret"), nil)},
		{"broken SEC 1", pemOf("EC PRIVATE KEY", []byte("secret"), nil)},
		{"a broken JWK", `{"kty":"OKP","d":"secret`},
		{"a public JWK", jwkOf(t, s.ed, "d", "")},
		{"a symmetric JWK", `{"kty":"oct","k":"c2VjcmV0"}`},
		{"a JWK of X25519", jwkOf(t, s.ed, "crv", "X25519")},
		{"a JWK with another's public half", jwkOf(t, s.ed, "x", encode(other.ed.Public().(ed25519.PublicKey)))},
		{"a JWK with d too short", jwkOf(t, s.ed, "d", "c2VjcmV0")},
		{"a JWK with d that is not base64url", jwkOf(t, s.ed, "d", "secret+/=")},
		{"an EC JWK with d = 0", jwkOf(t, s.ec, "d", encode(make([]byte, 32)))},
		{"an RSA JWK without primes", jwkOf(t, s.rsa, "p", "", "q", "")},
		{"an RSA JWK with another's prime", jwkOf(t, s.rsa, "p", encode(other.rsa.Primes[0].Bytes()))},
		{"an RSA JWK with an odd d", jwkOf(t, s.rsa, "d", encode(big.NewInt(3).Bytes()))},
		{"a JWK with another alg", jwkOf(t, s.ec, "alg", "EdDSA")},
		{"a JWK that says Ed25519 of an EC key", jwkOf(t, s.ec, "alg", "Ed25519")},
		{"a JWK for encryption", jwkOf(t, s.ec, "use", "enc")},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := ParsePrivate([]byte(c.data))
			if err == nil {
				t.Fatalf("accepted as %s", p)
			}
			for _, secret := range []string{"secret", "c2VjcmV0", encode(s.ed.Seed())} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("S-T17 the error quotes the key: %v", err)
				}
			}
		})
	}
	t.Run("RSA of 1024 bits", func(t *testing.T) {
		if _, err := newPrivate(&rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("another type of key", func(t *testing.T) {
		if _, err := newPrivate("secret"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPrivate_IsNotPrinted(t *testing.T) {
	s := newSamples(t)
	p, err := newPrivate(s.ed)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%s", "%+v"} {
		if got := fmt.Sprintf(format, p); got != "private key "+p.KeyID() {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func testSealer(t *testing.T, fill byte) sealer {
	t.Helper()
	s, err := newSealer(bytes.Repeat([]byte{fill}, EncryptionKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	s := newSamples(t)
	sealer := testSealer(t, 1)
	minter := minter{sealer: sealer}
	record := func(signer crypto.Signer, use string) Record {
		p, err := newPrivate(signer)
		if err != nil {
			t.Fatal(err)
		}
		r, err := minter.record(p, use)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, signer := range []crypto.Signer{s.ed, s.ec, s.rsa} {
		r := record(signer, "sig")
		p, err := sealer.open(r)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		if p.KeyID() != r.KeyID {
			t.Errorf("opened key %s, want %s", p.KeyID(), r.KeyID)
		}
		if bytes.Contains(r.PublicJWK, []byte(`"d"`)) {
			t.Error("S-T20 the public JWK has a private member")
		}
		if again := record(signer, "sig"); bytes.Equal(again.Sealed, r.Sealed) {
			t.Error("two seals of one key are the same: the nonce is not random")
		}
	}
	good, other := record(s.ed, "sig"), record(newSamples(t).ed, "sig")
	for _, c := range []struct {
		name   string
		change func(r *Record)
	}{
		{"another key's row", func(r *Record) { r.Sealed = other.Sealed }},
		{"another key's id", func(r *Record) { r.KeyID = other.KeyID }},
		{"another use", func(r *Record) { r.Use = contract.KeyUseEvents }},
		{"another algorithm", func(r *Record) { r.Algorithm = token.AlgES256 }},
		{"a changed byte", func(r *Record) { r.Sealed[len(r.Sealed)-1] ^= 1 }},
		{"a changed nonce", func(r *Record) { r.Sealed[1] ^= 1 }},
		{"another version", func(r *Record) { r.Sealed[0] = 2 }},
		{"cut off", func(r *Record) { r.Sealed = r.Sealed[:20] }},
		{"nothing", func(r *Record) { r.Sealed = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			r.Sealed = bytes.Clone(good.Sealed)
			c.change(&r)
			if _, err := sealer.open(r); err == nil {
				t.Error("opened")
			}
		})
	}
	t.Run("another encryption key", func(t *testing.T) {
		_, err := testSealer(t, 2).open(good)
		if err == nil || !strings.Contains(err.Error(), "AUTH_ENCRYPTION_KEY") || !strings.Contains(err.Error(), good.KeyID) {
			t.Errorf("got %v, want an error that names the setting and the key", err)
		}
	})
	t.Run("an encryption key of the wrong length", func(t *testing.T) {
		for _, n := range []int{0, 16, 31, 33, 64} {
			if _, err := newSealer(make([]byte, n)); err == nil {
				t.Errorf("%d bytes are accepted", n)
			}
		}
	})
}
