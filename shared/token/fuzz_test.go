package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// fuzzIssuer has keys that are the same in every process, because fuzzing runs
// in several.
func fuzzIssuer() *tokentest.Issuer {
	return &tokentest.Issuer{
		KeyID: "fuzz", Algorithm: token.AlgEdDSA, Key: ed25519.NewKeyFromSeed(make([]byte, 32)),
		EventKeyID: "fuzz-events", EventKey: ed25519.NewKeyFromSeed([]byte(strings.Repeat("e", 32))),
	}
}

// FuzzVerify takes any text for a token. Nothing but the one good token may
// be accepted, and every failure has one of the two kinds.
func FuzzVerify(f *testing.F) {
	issuer := fuzzIssuer()
	verifier := issuer.Verifier(f, noon)
	good := issuer.Token(tokentest.Claims(noon()))
	f.Add(good)
	for _, v := range append(append(formVectors(), headerVectors()...), edDSAVectors()...) {
		f.Add(v.make(newMint(issuer, noon())))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := verifier.Verify(t.Context(), raw)
		if raw == good {
			return
		}
		if err == nil {
			t.Fatalf("accepted with claims %+v", claims)
		}
		if kind := fault.KindOf(err); kind != fault.TokenInvalid && kind != fault.TokenExpired {
			t.Fatalf("got kind %s", kind)
		}
	})
}

// FuzzVerify_Signed takes any header and payload and signs them. What is
// accepted must say the same to the parser that everybody else uses.
func FuzzVerify_Signed(f *testing.F) {
	issuer := fuzzIssuer()
	verifier := issuer.Verifier(f, noon)
	f.Add(tokentest.Text(issuer.Header()), tokentest.Text(tokentest.Members(tokentest.Claims(noon()))))
	for _, v := range claimVectors() {
		parts := strings.Split(v.make(newMint(issuer, noon())), ".")
		f.Add(decode(parts[0]), decode(parts[1]))
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		got, err := verifier.Verify(t.Context(), issuer.Sign(header, payload))
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.TokenInvalid && kind != fault.TokenExpired {
				t.Fatalf("got kind %s", kind)
			}
			return
		}
		var other struct {
			Issuer  string   `json:"iss"`
			Subject string   `json:"sub"`
			Session string   `json:"sid"`
			TokenID string   `json:"jti"`
			Expires int64    `json:"exp"`
			Version uint64   `json:"ver"`
			Roles   []string `json:"roles"`
		}
		if err := json.Unmarshal([]byte(payload), &other); err != nil || !utf8.ValidString(payload) {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		if other.Issuer != got.Issuer || other.Subject != got.Subject || other.Session != got.SessionID || other.TokenID != got.TokenID ||
			other.Expires != got.ExpiresAt.Unix() || other.Version != got.Version || len(other.Roles) != len(got.Roles) {
			t.Fatalf("two readings: %+v and %+v", got, other)
		}
	})
}

func decode(part string) string {
	data, _ := base64.RawURLEncoding.DecodeString(part) // a seed may be anything
	return string(data)
}

// FuzzParseSet takes anything for a key set. What is accepted holds at least
// one key, each with an algorithm, a known use and a bounded id.
func FuzzParseSet(f *testing.F) {
	for _, algorithm := range algorithms() {
		f.Add(tokentest.New(f, algorithm).JWKS())
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA","kid":"x"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AA","e":"AQAB","kid":"x"},{"kty":"EC","crv":"P-256","x":"","y":"","kid":"y"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := token.ParseSet(data)
		if err != nil {
			return
		}
		if len(set.KeyIDs()) == 0 {
			t.Fatal("an empty set is accepted")
		}
		for _, kid := range set.KeyIDs() {
			key, err := set.Key(t.Context(), kid)
			if err != nil || key.ID != kid || kid == "" || len(kid) > 128 || key.Public == nil {
				t.Fatalf("key %+v, %v", key, err)
			}
			if key.Use != contract.KeyUseSignature && key.Use != contract.KeyUseEvents {
				t.Fatalf("use %q", key.Use)
			}
		}
	})
}
