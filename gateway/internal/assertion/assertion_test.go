package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// inPEM gives a key as an operator writes it.
func inPEM(t *testing.T, key any, private bool) string {
	t.Helper()
	kind, marshal := "PUBLIC KEY", x509.MarshalPKIXPublicKey
	if private {
		kind, marshal = "PRIVATE KEY", x509.MarshalPKCS8PrivateKey
	}
	der, err := marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func generate(t *testing.T) *Keys {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// verifier is what an upstream uses.
func verifier(t *testing.T, k *Keys, tokenType, audience string, now func() time.Time) *token.Verifier {
	t.Helper()
	set, err := token.ParseSet(k.Set())
	if err != nil || len(set.Ignored) > 0 {
		t.Fatalf("%v %v", err, set.Ignored)
	}
	v, err := token.NewVerifier(token.Settings{
		Issuer: "https://auth.example.com/gateway", Audience: audience, Type: tokenType, MaxLifetime: Lifetime, Leeway: time.Nanosecond,
	}, set, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSigner(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	now := func() time.Time { return at }
	keys := generate(t)
	s, err := NewSigner(keys, "https://auth.example.com/gateway", now)
	if err != nil {
		t.Fatal(err)
	}
	c := tokentest.Claims(at)
	sign := func(raw, audience string) string {
		text, err := s.Assertion(raw, &c, audience)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := sign("raw", "orders")
	orders := verifier(t, keys, contract.AssertionType, "orders", now)
	t.Run("its audience learns who is calling", func(t *testing.T) {
		got, err := orders.Verify(t.Context(), text)
		if err != nil || got.Subject != c.Subject || got.SessionID != c.SessionID || got.TokenID != c.TokenID || got.Version != c.Version ||
			strings.Join(got.Roles, ",") != strings.Join(c.Roles, ",") || got.EmailVerified != c.EmailVerified {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("it is good for nobody else, and for nothing else", func(t *testing.T) {
		for name, v := range map[string]*token.Verifier{
			"another audience":   verifier(t, keys, contract.AssertionType, "users", now),
			"as an access token": verifier(t, keys, "", "orders", now),
			"another gateway":    verifier(t, generate(t), contract.AssertionType, "orders", now),
		} {
			if _, err := v.Verify(t.Context(), text); !fault.Is(err, fault.TokenInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("one is given out again for half a minute, to the same token and audience alone", func(t *testing.T) {
		if sign("raw", "orders") != text {
			t.Error("it was made anew")
		}
		for _, other := range []string{sign("raw2", "orders"), sign("raw", "users")} {
			if _, kept := s.newer[subject{"raw", "orders"}]; !kept || other == "" {
				t.Error("not kept apart")
			}
		}
		if sign("raw", "users") == text {
			t.Error("two audiences share one")
		}
		at = at.Add(reuse)
		if sign("raw", "orders") == text {
			t.Error("it is given out with too little time left")
		}
		at = at.Add(Lifetime - reuse + time.Second)
		if _, err := orders.Verify(t.Context(), text); !fault.Is(err, fault.TokenExpired) {
			t.Errorf("after a minute: %v", err)
		}
	})
	t.Run("it never outlives its token", func(t *testing.T) {
		c.ExpiresAt = at.Add(5 * time.Second)
		short := sign("short", "orders")
		got, err := orders.Verify(t.Context(), short)
		if err != nil || !got.ExpiresAt.Equal(c.ExpiresAt) {
			t.Errorf("%+v %v", got, err)
		}
		at = at.Add(6 * time.Second)
		if _, err := orders.Verify(t.Context(), short); !fault.Is(err, fault.TokenExpired) {
			t.Errorf("%v", err)
		}
		if _, err := orders.Verify(t.Context(), sign("short", "orders")); !fault.Is(err, fault.TokenExpired) {
			t.Errorf("made after the end: %v", err)
		}
	})
	t.Run("those kept are bounded", func(t *testing.T) {
		c.ExpiresAt = at.Add(time.Hour)
		for i := range 2*kept + 10 {
			s.keep(subject{fmt.Sprint(i), "orders"}, signed{"x", at.Add(time.Hour)})
		}
		if n := len(s.newer) + len(s.old); n > 2*kept {
			t.Errorf("%d are kept", n)
		}
	})
	t.Run("one that is kept costs no memory", func(t *testing.T) {
		sign("hot", "orders")
		if n := testing.AllocsPerRun(100, func() { sign("hot", "orders") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func TestParse(t *testing.T) {
	first, second := generate(t), generate(t)
	a, b := inPEM(t, first.private, true), inPEM(t, second.private.Public(), false)
	t.Run("the first signs, all are published", func(t *testing.T) {
		k, err := Parse(a + "\n" + b)
		if err != nil {
			t.Fatal(err)
		}
		set, err := token.ParseSet(k.Set())
		if err != nil || len(set.KeyIDs()) != 2 || k.id != first.id {
			t.Errorf("%v %v", set, err)
		}
		if _, err := set.Key(t.Context(), second.id); err != nil {
			t.Errorf("another node gives the key another id: %v", err)
		}
		if strings.Contains(string(k.Set()), `"d"`) {
			t.Error("the set holds a private key")
		}
	})
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no PEM": "key", "a public key alone": b, "a public key first": b + a, "something behind": a + "x",
		"another kind of key": inPEM(t, other, true), "a certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
