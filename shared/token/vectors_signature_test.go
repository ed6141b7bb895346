package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// unsigned makes a token under another header, with a signature of the
// caller's choice over its text.
func unsigned(header map[string]any, signature func(m *mint, text string) []byte) func(*mint) string {
	return func(m *mint) string {
		full := m.header
		for name, value := range header {
			full[name] = value
		}
		text := tokentest.Encode([]byte(tokentest.Text(full))) + "." + tokentest.Encode([]byte(tokentest.Text(m.claims)))
		return text + "." + tokentest.Encode(signature(m, text))
	}
}

func hs256(secret func(m *mint) []byte) func(*mint, string) []byte {
	return func(m *mint, text string) []byte {
		mac := hmac.New(sha256.New, secret(m))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

func publicBytes(m *mint) []byte {
	der, _ := x509.MarshalPKIXPublicKey(m.Key.Public())
	return der
}

func nothing(*mint, string) []byte { return nil }

// signatureVectors are signed wrongly (S-T1, S-T2, S-T13, S-T14).
func signatureVectors() []vector {
	eventsKey := func(m *mint) string {
		m.header["kid"], m.header["alg"] = m.EventKeyID, token.AlgEdDSA
		i := tokentest.Issuer{KeyID: m.EventKeyID, Algorithm: token.AlgEdDSA, Key: m.EventKey}
		return i.Sign(tokentest.Text(m.header), tokentest.Text(m.claims))
	}
	flip := func(at int) func(*mint) string {
		return spelt(func(raw string) string {
			cut := strings.LastIndexByte(raw, '.') + 1
			signature, _ := base64.RawURLEncoding.DecodeString(raw[cut:])
			signature[(at+len(signature))%len(signature)] ^= 1
			return raw[:cut] + tokentest.Encode(signature)
		})
	}
	length := func(change func([]byte) []byte) func(*mint) string {
		return spelt(func(raw string) string {
			cut := strings.LastIndexByte(raw, '.') + 1
			signature, _ := base64.RawURLEncoding.DecodeString(raw[cut:])
			return raw[:cut] + tokentest.Encode(change(signature))
		})
	}
	return []vector{
		{name: "S-T2 a token signed with the events key", make: eventsKey},
		{name: "S-T2 HS256 with the public key in DER", make: unsigned(map[string]any{"alg": "HS256"}, hs256(publicBytes))},
		{name: "S-T2 HS256 with the key set", make: unsigned(map[string]any{"alg": "HS256"}, hs256(func(m *mint) []byte { return m.JWKS() }))},
		{name: "S-T2 HS256 with nothing", make: unsigned(map[string]any{"alg": "HS256"}, hs256(func(*mint) []byte { return nil }))},
		{name: "S-T2 HS256 named as the key's algorithm", make: unsigned(nil, hs256(publicBytes))},
		{name: "S-T2 another algorithm that is allowed", make: func(m *mint) string {
			for _, alg := range []string{token.AlgEdDSA, token.AlgES256, token.AlgRS256} {
				if alg != m.Algorithm {
					m.header["alg"] = alg
				}
			}
			return m.sign()
		}},
		{name: "S-T14 the first bit of the signature flipped", make: flip(0)},
		{name: "S-T14 the last bit of the signature flipped", make: flip(-1)},
		{name: "S-T14 a signature one byte short", make: length(func(s []byte) []byte { return s[:len(s)-1] })},
		{name: "S-T14 a signature one byte long", make: length(func(s []byte) []byte { return append(s, 0) })},
		{name: "S-T14 a signature with a leading zero more", make: length(func(s []byte) []byte { return append([]byte{0}, s...) })},
		{name: "S-T14 a signature of zeros", make: length(func(s []byte) []byte { return make([]byte, len(s)) })},
		{name: "S-T14 a signature of one byte", make: length(func([]byte) []byte { return []byte{1} })},
		{name: "S-T14 another payload", make: func(m *mint) string {
			parts := strings.Split(m.sign(), ".")
			m.claims["roles"] = []string{contract.RoleAdmin}
			return parts[0] + "." + strings.Split(m.sign(), ".")[1] + "." + parts[2]
		}},
		{name: "S-T14 another header", make: func(m *mint) string {
			parts := strings.Split(m.sign(), ".")
			m.header["note"] = "x"
			return strings.Split(m.sign(), ".")[0] + "." + parts[1] + "." + parts[2]
		}},
		{name: "S-T14 expired and not signed by us is invalid", make: func(m *mint) string {
			raw := times("exp", -600)(m)
			return raw[:strings.LastIndexByte(raw, '.')+1] + strings.Repeat("A", 86)
		}},
	}
}

// es256Vectors are for an issuer with ES256.
func es256Vectors() []vector {
	respell := func(change func(r, s *big.Int) []byte) func(*mint) string {
		return spelt(func(raw string) string {
			cut := strings.LastIndexByte(raw, '.') + 1
			signature, _ := base64.RawURLEncoding.DecodeString(raw[cut:])
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return raw[:cut] + tokentest.Encode(change(r, s))
		})
	}
	join := func(r, s *big.Int) []byte {
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
	order := elliptic.P256().Params().N
	return []vector{
		{name: "S-T14 ES256 with a high s", make: respell(func(r, s *big.Int) []byte { return join(r, new(big.Int).Sub(order, s)) })},
		{name: "S-T14 ES256 in DER", make: respell(func(r, s *big.Int) []byte {
			der, _ := asn1.Marshal(struct{ R, S *big.Int }{r, s})
			return der
		})},
		{name: "S-T14 ES256 with 33 bytes each", make: respell(func(r, s *big.Int) []byte {
			return append(append([]byte{0}, r.FillBytes(make([]byte, 32))...), append([]byte{0}, s.FillBytes(make([]byte, 32))...)...)
		})},
		{name: "S-T14 ES256 with r = 0", make: respell(func(_, s *big.Int) []byte { return join(new(big.Int), s) })},
		{name: "S-T14 ES256 with s = 0", make: respell(func(r, _ *big.Int) []byte { return join(r, new(big.Int)) })},
		{name: "S-T14 ES256 with r = n", make: respell(func(_, s *big.Int) []byte { return join(order, s) })},
		{name: "S-T14 ES256 with r and s exchanged", make: respell(func(r, s *big.Int) []byte { return join(s, r) })},
	}
}

// edDSAVectors are for an issuer with EdDSA.
func edDSAVectors() []vector {
	// The order of the base point, little-endian in signatures.
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	malleable := spelt(func(raw string) string {
		cut := strings.LastIndexByte(raw, '.') + 1
		signature, _ := base64.RawURLEncoding.DecodeString(raw[cut:])
		s := new(big.Int)
		for i := range 32 {
			s.Or(s, new(big.Int).Lsh(big.NewInt(int64(signature[32+i])), uint(8*i)))
		}
		s.Add(s, order)
		for i, b := range s.FillBytes(make([]byte, 32)) {
			signature[63-i] = b
		}
		return raw[:cut] + tokentest.Encode(signature)
	})
	bits := spelt(func(raw string) string { // 64 bytes leave 4 unused bits in the last letter
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return raw[:len(raw)-1] + string(alphabet[strings.IndexByte(alphabet, raw[len(raw)-1])+1])
	})
	return []vector{
		{name: "S-T14 Ed25519 with S of L or more", make: malleable},
		{name: "S-T13 an unused bit of the signature set", make: bits},
		{name: "S-T14 Ed25519 with a small-order R and S = 0", make: spelt(func(raw string) string {
			signature := make([]byte, 64)
			signature[0] = 1
			return raw[:strings.LastIndexByte(raw, '.')+1] + tokentest.Encode(signature)
		})},
		{name: "S-T2 ES256 of a foreign key under our kid", make: func(m *mint) string {
			foreign, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			i := tokentest.Issuer{KeyID: m.KeyID, Algorithm: token.AlgES256, Key: foreign}
			m.header["alg"] = token.AlgES256
			return i.Sign(tokentest.Text(m.header), tokentest.Text(m.claims))
		}},
	}
}
