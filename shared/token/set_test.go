package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// goodJWK is an Ed25519 key as members that tests change.
func goodJWK(t *testing.T, kid string) map[string]any {
	t.Helper()
	issuer := tokentest.New(t, token.AlgEdDSA)
	return map[string]any{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": kid,
		"x": tokentest.JWK(issuer.Key.Public(), kid, "sig").X,
	}
}

func setOf(keys ...any) []byte { return []byte(tokentest.Text(map[string]any{"keys": keys})) }

func without(m map[string]any, name string) map[string]any {
	delete(m, name)
	return m
}

func changed(m map[string]any, name string, value any) map[string]any {
	m[name] = value
	return m
}

func TestParseSet_IgnoresKeysThatAreNotForUs(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecJWK := tokentest.JWK(ec.Public(), "bad", "sig")
	rsaJWK := tokentest.JWK(small.Public(), "bad", "sig")
	for _, c := range []struct {
		name string
		key  any
	}{
		{"S-T20 an unknown kty", map[string]any{"kty": "LWE", "kid": "bad", "x": "AAAA"}},
		{"S-T20 a symmetric key", map[string]any{"kty": "oct", "kid": "bad", "k": "c2VjcmV0", "alg": "HS256"}},
		{"S-T20 no kty", without(goodJWK(t, "bad"), "kty")},
		{"S-T20 a private member", changed(goodJWK(t, "bad"), "d", "AAAA")},
		{"S-T20 a private member that is null", changed(goodJWK(t, "bad"), "d", nil)},
		{"S-T20 not an object", "bad"},
		{"S-T20 null", nil},
		{"S-T4 no kid", without(goodJWK(t, "bad"), "kid")},
		{"S-T4 kid is a number", changed(goodJWK(t, "bad"), "kid", 1)},
		{"S-T4 a very long kid", goodJWK(t, strings.Repeat("bad", 100))},
		{"S-T2 use enc", changed(goodJWK(t, "bad"), "use", "enc")},
		{"S-T2 use unknown", changed(goodJWK(t, "bad"), "use", "other")},
		{"S-T2 key_ops without verify", changed(goodJWK(t, "bad"), "key_ops", []string{"sign"})},
		{"S-T2 key_ops is text", changed(goodJWK(t, "bad"), "key_ops", "verify")},
		{"S-T2 alg of another type", changed(goodJWK(t, "bad"), "alg", "ES256")},
		{"S-T2 alg HS256", changed(goodJWK(t, "bad"), "alg", "HS256")},
		{"S-T2 alg is null", changed(goodJWK(t, "bad"), "alg", nil)},
		{"S-T2 alg Ed25519 on an EC key", changed(members(ecJWK), "alg", "Ed25519")},
		{"S-T2 alg RS512", changed(members(rsaJWK), "alg", "RS512")},
		{"S-T14 curve X25519", changed(goodJWK(t, "bad"), "crv", "X25519")},
		{"S-T14 an x too short", changed(goodJWK(t, "bad"), "x", "AAAA")},
		{"S-T14 an x with padding", changed(goodJWK(t, "bad"), "x", goodJWK(t, "bad")["x"].(string)+"=")},
		{"S-T14 no x", without(goodJWK(t, "bad"), "x")},
		{"S-T14 curve P-384", changed(members(ecJWK), "crv", "P-384")},
		{"S-T14 a point off the curve", changed(members(ecJWK), "x", ecJWK.Y)},
		{"S-T14 a coordinate too long", changed(members(ecJWK), "x", "AA"+ecJWK.X)},
		{"S-T14 no y", without(members(ecJWK), "y")},
		{"S-T14 RSA of 2040 bits", changed(members(rsaJWK), "n", tokentest.Encode(small.N.Bytes()[1:]))},
		{"S-T14 RSA of 1024 bits", changed(members(rsaJWK), "n", tokentest.Encode(append(small.N.Bytes()[:127], 1)))},
		{"S-T14 RSA with a leading zero", changed(members(rsaJWK), "n", tokentest.Encode(append([]byte{0}, small.N.Bytes()...)))},
		{"S-T14 RSA of 16384 bits", changed(members(rsaJWK), "n", tokentest.Encode(append(make255(2047), 1)))},
		{"S-T14 RSA with an even modulus", changed(members(rsaJWK), "n", tokentest.Encode(append(small.N.Bytes()[:255], 2)))},
		{"S-T14 RSA with e = 1", changed(members(rsaJWK), "e", "AQ")},
		{"S-T14 RSA with e = 3", changed(members(rsaJWK), "e", "Aw")},
		{"S-T14 RSA with an even e", changed(members(rsaJWK), "e", tokentest.Encode([]byte{1, 0, 2}))},
		{"S-T14 RSA with e of 5 bytes", changed(members(rsaJWK), "e", tokentest.Encode([]byte{1, 0, 0, 0, 1}))},
		{"S-T14 RSA without e", without(members(rsaJWK), "e")},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := token.ParseSet(setOf(goodJWK(t, "good"), c.key))
			if err != nil {
				t.Fatalf("the good key is refused with the other: %v", err)
			}
			if diff := cmp.Diff([]string{"good"}, set.KeyIDs()); diff != "" || len(set.Ignored) != 1 {
				t.Errorf("ignored %v; keys differ (-want +got):\n%s", set.Ignored, diff)
			}
		})
	}
}

// members are a JWK's as a map.
func members(k contract.JWK) map[string]any {
	return map[string]any{
		"kty": k.KeyType, "crv": k.Curve, "alg": k.Algorithm, "use": k.Use, "kid": k.KeyID, "x": k.X, "y": k.Y, "n": k.N, "e": k.E,
	}
}

func make255(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = 0xff
	}
	return out
}

func TestParseSet_RefusesSetsThatCannotBeGood(t *testing.T) {
	good := goodJWK(t, "good")
	events := changed(goodJWK(t, "events"), "use", contract.KeyUseEvents)
	for _, c := range []struct {
		name string
		data string
	}{
		{"F34 nothing", ""},
		{"F34 garbage", "<html>502</html>"},
		{"F34 an empty object", "{}"},
		{"F34 null", "null"},
		{"F34 an array", tokentest.Text([]any{good})},
		{"F34 no keys", `{"keys":[]}`},
		{"F34 keys is null", `{"keys":null}`},
		{"F34 keys is an object", `{"keys":{}}`},
		{"F34 Keys in another case", strings.Replace(string(setOf(good)), "keys", "Keys", 1)},
		{"F34 keys twice", `{"keys":[],` + string(setOf(good))[1:]},
		{"F34 cut off", string(setOf(good))[:80]},
		{"F34 two documents", string(setOf(good)) + string(setOf(good))},
		{"F34 no key that signs tokens", string(setOf(events))},
		{"F34 more than 64 KiB", string(setOf(good)) + strings.Repeat(" ", token.MaxSetBytes)},
		{"S-T20 one kid twice", string(setOf(good, goodJWK(t, "good")))},
		{"S-T20 one kid for two uses", string(setOf(good, changed(goodJWK(t, "good"), "use", contract.KeyUseEvents)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if set, err := token.ParseSet([]byte(c.data)); err == nil {
				t.Errorf("accepted with keys %v", set.KeyIDs())
			}
		})
	}
}

func TestParseSet_BindsKeysWithoutAlgAndUse(t *testing.T) {
	for _, algorithm := range algorithms() {
		t.Run("S-T2 "+algorithm, func(t *testing.T) {
			issuer := tokentest.New(t, algorithm)
			jwk := tokentest.JWK(issuer.Key.Public(), "k", "")
			jwk.Algorithm, jwk.KeyOps = "", []string{"verify"}
			set, err := token.ParseSet(setOf(jwk))
			if err != nil {
				t.Fatal(err)
			}
			key, err := set.Key(t.Context(), "k")
			if err != nil || key.Algorithm != algorithm || key.Use != contract.KeyUseSignature {
				t.Errorf("got %s for use %q (%v), want %s for sig", key.Algorithm, key.Use, err, algorithm)
			}
		})
	}
}

func TestSet_EventKey(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	set := issuer.Set(t)
	if key, ok := set.EventKey(issuer.EventKeyID); !ok || !key.Equal(issuer.EventKey.Public()) {
		t.Errorf("got %v, %v, want the issuer's event key", key, ok)
	}
	for _, kid := range []string{issuer.KeyID, "nobody", ""} {
		if _, ok := set.EventKey(kid); ok {
			t.Errorf("%q is taken for an event key", kid)
		}
	}
}
