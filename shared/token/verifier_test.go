package token_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// noon is when the tests take place.
func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func algorithms() []string { return []string{token.AlgEdDSA, token.AlgES256, token.AlgRS256} }

func TestVerifier_RefusesBadTokens(t *testing.T) {
	for _, algorithm := range algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			issuer := tokentest.New(t, algorithm)
			verifier := issuer.Verifier(t, noon)
			cache := token.NewCache(verifier, 64)
			vectors := append(append(append(formVectors(), headerVectors()...), claimVectors()...), signatureVectors()...)
			switch algorithm {
			case token.AlgES256:
				vectors = append(vectors, es256Vectors()...)
			case token.AlgEdDSA:
				vectors = append(vectors, edDSAVectors()...)
			}
			for _, v := range vectors {
				t.Run(v.name, func(t *testing.T) {
					raw := v.make(newMint(issuer, noon()))
					mustRefuse(t, verifier, raw, v.kind)
					mustRefuse(t, cache, raw, v.kind)
				})
			}
			if got := cache.Len(); got != 0 {
				t.Errorf("the cache holds %d bad tokens", got)
			}
			t.Logf("%d bad tokens", len(vectors))
		})
	}
}

type verifies interface {
	Verify(ctx context.Context, raw string) (*contract.Claims, error)
}

func mustRefuse(t *testing.T, v verifies, raw string, kind fault.Kind) {
	t.Helper()
	if kind == "" {
		kind = fault.TokenInvalid
	}
	claims, err := v.Verify(context.Background(), raw)
	if !fault.Is(err, kind) || claims != nil {
		t.Fatalf("got claims %v and error %v, want %s", claims, err, kind)
	}
	t.Logf("cause: %v", err)
	for part := range strings.SplitSeq(raw, ".") {
		if len(part) > 12 && strings.Contains(err.Error(), part) {
			t.Errorf("S-T17 the error holds a part of the token: %v", err)
		}
	}
}

func TestVerifier_S_T17_ErrorsHoldNothingThatTheTokenSays(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	verifier := issuer.Verifier(t, noon)
	for name, make := range map[string]func(*mint) string{
		"alg": head("alg", "secret-word"), "typ": head("typ", "secret-word"), "kid": head("kid", "secret-word"),
		"iss": with("iss", "secret-word"), "aud": with("aud", "secret-word"), "sub": with("sub", "secret word"),
		"roles": with("roles", []string{"secret word"}), "exp": with("exp", "secret-word"), "a name": after(`,"secret-word":1,"secret-word":2`),
		"no JSON": replaced("{", "secret-word"), "a signature": spelt(func(raw string) string { return raw + "secret-word" }),
	} {
		_, err := verifier.Verify(t.Context(), make(newMint(issuer, noon())))
		if !fault.Is(err, fault.TokenInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want token_invalid without the word", name, err)
		}
	}
}

func TestVerifier_AcceptsGoodTokens(t *testing.T) {
	for _, algorithm := range algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			issuer := tokentest.New(t, algorithm)
			want := tokentest.Claims(noon())
			got, err := issuer.Verifier(t, noon).Verify(t.Context(), issuer.Token(want))
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			want.KeyID = issuer.KeyID
			want.Refs = contract.Refs{
				Token: contract.ParseSubjectID(want.TokenID), Session: contract.ParseSubjectID(want.SessionID), User: contract.ParseSubjectID(want.Subject),
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("claims differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifier_AcceptsWhatTheStandardsLeaveOpen(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	verifier := issuer.Verifier(t, noon)
	for _, c := range []vector{
		{name: "S-T6 typ application/at+jwt in any case", make: head("typ", "Application/AT+JWT")},
		{name: "S-T6 typ in any case", make: head("typ", "At+Jwt")},
		{name: "S-T8 one audience as a string", make: with("aud", tokentest.Audience)},
		{name: "S-T8 ours among other audiences", make: with("aud", []string{"other", tokentest.Audience})},
		{name: "S-T9 exp past within the leeway", make: times("exp", -29)},
		{name: "S-T10 nbf ahead within the leeway", make: times("nbf", 30)},
		{name: "S-T10 iat ahead within the leeway", make: times("iat", 30)},
		{name: "S-T10 no nbf", make: with("nbf", absent)},
		{name: "S-T10 nbf long ago", make: with("nbf", 0)},
		{name: "no roles", make: with("roles", absent)},
		{name: "unknown claims of every shape", make: after(`,"x":{"a":[1,-2.5e3,true,null,{"b":"\u00e4\ud83d\ude00\""}]},"y":"\u00e4"`)},
		{name: "unknown header members", make: head("x5t", "abc")},
		{name: "white space that JSON allows", make: func(m *mint) string {
			return m.Sign("\n"+tokentest.Text(m.header)+"\t ", " \r\n"+strings.ReplaceAll(tokentest.Text(m.claims), ":", " : ")+" ")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMint(issuer, noon())
			m.claims["iss"] = tokentest.IssuerURL
			if c.name == "white space that JSON allows" {
				v, err := token.NewVerifier(token.Settings{Issuer: "issuer", Audience: tokentest.Audience}, issuer.Set(t), noon)
				if err != nil {
					t.Fatal(err)
				}
				m.claims["iss"] = "issuer"
				if _, err := v.Verify(t.Context(), c.make(m)); err != nil {
					t.Errorf("Verify: %v", err)
				}
				return
			}
			if _, err := verifier.Verify(t.Context(), c.make(m)); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestVerifier_SpellingOfEdDSA(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	jwk := tokentest.JWK(issuer.Key.Public(), issuer.KeyID, contract.KeyUseSignature)
	for _, c := range []struct {
		jwk, header string
		settings    []string
		good        bool
	}{
		{jwk: "EdDSA", header: "EdDSA", good: true},
		{jwk: "EdDSA", header: "Ed25519"},
		{jwk: "", header: "EdDSA", good: true},
		{jwk: "", header: "Ed25519"},
		{jwk: "Ed25519", header: "Ed25519", good: true},
		{jwk: "Ed25519", header: "EdDSA"},
		{jwk: "Ed25519", header: "Ed25519", settings: []string{"EdDSA"}},
	} {
		t.Run("S-T19 JWK "+c.jwk+", header "+c.header+", allowed "+strings.Join(c.settings, " "), func(t *testing.T) {
			jwk.Algorithm = c.jwk
			set, err := token.ParseSet([]byte(tokentest.Text(contract.JWKSet{Keys: []contract.JWK{jwk}})))
			if err != nil {
				t.Fatal(err)
			}
			settings := tokentest.Settings()
			settings.Algorithms = c.settings
			verifier, err := token.NewVerifier(settings, set, noon)
			if err != nil {
				t.Fatal(err)
			}
			_, err = verifier.Verify(t.Context(), head("alg", c.header)(newMint(issuer, noon())))
			if (err == nil) != c.good || (err != nil && !fault.Is(err, fault.TokenInvalid)) {
				t.Errorf("got %v, want good = %v", err, c.good)
			}
		})
	}
}

func TestVerifier_S_T1_OnlyConfiguredAlgorithms(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	settings := tokentest.Settings()
	settings.Algorithms = []string{token.AlgRS256}
	verifier, err := token.NewVerifier(settings, issuer.Set(t), noon)
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, verifier, issuer.Token(tokentest.Claims(noon())), fault.TokenInvalid)
}

func TestVerifier_S_T15_RefsDoNotDependOnTheSpelling(t *testing.T) {
	issuer := tokentest.New(t, token.AlgES256)
	verifier := issuer.Verifier(t, noon)
	a, errA := verifier.Verify(t.Context(), issuer.Token(tokentest.Claims(noon())))
	b, errB := verifier.Verify(t.Context(), issuer.Token(tokentest.Claims(noon())))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Refs != b.Refs {
		t.Errorf("two signatures over the same claims have refs %v and %v", a.Refs, b.Refs)
	}
}

// brokenKeys cannot say whether there is a key.
type brokenKeys struct{ err error }

func (k brokenKeys) Key(context.Context, string) (token.Key, error) { return token.Key{}, k.err }
func (brokenKeys) Generation() uint64                               { return 0 }

func TestVerifier_S_B7_NoKeySetIsNotAnAnswerAboutTheCaller(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	cause := errors.New("connection refused")
	verifier, err := token.NewVerifier(tokentest.Settings(), brokenKeys{err: cause}, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Verify(t.Context(), issuer.Token(tokentest.Claims(noon())))
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, cause) {
		t.Errorf("got %v, want service_unavailable with its cause", err)
	}
}

func TestVerifier_F34_ATokenOfAKeyThatWasTakenBackIsRevoked(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	verifier, err := token.NewVerifier(tokentest.Settings(), brokenKeys{err: token.ErrRevokedKey}, noon)
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, verifier, issuer.Token(tokentest.Claims(noon())), fault.TokenRevoked)
}

func TestVerifier_S_T2_AKeyOfAnUnknownAlgorithmVerifiesNothing(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	keys := oneKey{token.Key{ID: issuer.KeyID, Algorithm: "HS256", Use: contract.KeyUseSignature, Public: []byte("secret")}}
	settings := tokentest.Settings()
	verifier, err := token.NewVerifier(settings, keys, noon)
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, verifier, head("alg", "HS256")(newMint(issuer, noon())), fault.TokenInvalid)
	mustRefuse(t, verifier, issuer.Token(tokentest.Claims(noon())), fault.TokenInvalid)
}

type oneKey struct{ key token.Key }

func (k oneKey) Key(context.Context, string) (token.Key, error) { return k.key, nil }
func (oneKey) Generation() uint64                               { return 0 }

func TestNewVerifier_NamesEveryProblem(t *testing.T) {
	_, err := token.NewVerifier(token.Settings{Algorithms: []string{"HS256", "none"}, Leeway: 2 * time.Minute, MaxLifetime: -1}, nil, nil)
	if err == nil {
		t.Fatal("bad settings are accepted")
	}
	for _, want := range []string{"issuer", "HS256", "none", "leeway", "lifetime"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not speak of %s: %v", want, err)
		}
	}
}
