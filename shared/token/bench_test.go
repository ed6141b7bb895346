package token_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// BenchmarkVerify sets the cold path (parse and signature), the hot path (a
// hash and a lookup) and the library alone side by side.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range algorithms() {
		issuer := tokentest.New(b, algorithm)
		verifier := issuer.Verifier(b, time.Now)
		cache := token.NewCache(verifier, 1024)
		raw := issuer.Token(tokentest.Claims(time.Now()))
		b.Run(algorithm+"/cold", func(b *testing.B) { benchmark(b, verifier, raw) })
		b.Run(algorithm+"/hot", func(b *testing.B) { benchmark(b, cache, raw) })
		b.Run(algorithm+"/hot-parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := cache.Verify(context.Background(), raw); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(algorithm+"/golang-jwt", func(b *testing.B) { benchmarkLibrary(b, issuer, raw) })
	}
}

func benchmark(b *testing.B, v verifies, raw string) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(context.Background(), raw); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkLibrary(b *testing.B, issuer *tokentest.Issuer, raw string) {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{issuer.Algorithm}), jwt.WithIssuer(tokentest.IssuerURL),
		jwt.WithAudience(tokentest.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(token.DefaultLeeway))
	public := issuer.Key.Public()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parser.Parse(raw, func(*jwt.Token) (any, error) { return public, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify_Refused is what a bad token costs us.
func BenchmarkVerify_Refused(b *testing.B) {
	issuer := tokentest.New(b, token.AlgEdDSA)
	cache := token.NewCache(issuer.Verifier(b, time.Now), 1024)
	for _, v := range []vector{
		{name: "a megabyte", make: spelt(func(raw string) string { return raw + strings.Repeat("A", 1<<20) })},
		{name: "a bad header", make: head("typ", "JWT")},
		{name: "an unknown kid", make: head("kid", "nobody")},
	} {
		raw := v.make(newMint(issuer, time.Now()))
		b.Run(v.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cache.Verify(context.Background(), raw); err == nil {
					b.Fatal("a bad token is accepted")
				}
			}
		})
	}
}
