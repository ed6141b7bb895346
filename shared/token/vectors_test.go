package token_test

import (
	"encoding/base64"
	"strings"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// vector is a bad token, made from what a good issuer would make.
type vector struct {
	name string
	make func(m *mint) string
	kind fault.Kind // empty: token_invalid
}

// mint makes tokens of one issuer around one moment.
type mint struct {
	*tokentest.Issuer
	now    time.Time
	header map[string]any
	claims map[string]any
}

func newMint(i *tokentest.Issuer, now time.Time) *mint {
	return &mint{Issuer: i, now: now, header: i.Header(), claims: tokentest.Members(tokentest.Claims(now))}
}

// sign signs the header and claims as they are now.
func (m *mint) sign() string {
	return m.Sign(tokentest.Text(m.header), tokentest.Text(m.claims))
}

// with puts one claim in, or takes it out when value is absent.
func with(name string, value any) func(*mint) string {
	return func(m *mint) string {
		if value == absent {
			delete(m.claims, name)
		} else {
			m.claims[name] = value
		}
		return m.sign()
	}
}

// head does the same with a header member.
func head(name string, value any) func(*mint) string {
	return func(m *mint) string {
		if value == absent {
			delete(m.header, name)
		} else {
			m.header[name] = value
		}
		return m.sign()
	}
}

type absence struct{}

var absent = absence{}

// after appends JSON text to the claims, before their closing brace.
func after(text string) func(*mint) string {
	return func(m *mint) string {
		claims := tokentest.Text(m.claims)
		return m.Sign(tokentest.Text(m.header), claims[:len(claims)-1]+text+"}")
	}
}

// before puts JSON text at the front of the claims.
func before(text string) func(*mint) string {
	return func(m *mint) string { return m.Sign(tokentest.Text(m.header), "{"+text+tokentest.Text(m.claims)[1:]) }
}

// headAfter appends JSON text to the header.
func headAfter(text string) func(*mint) string {
	return func(m *mint) string {
		header := tokentest.Text(m.header)
		return m.Sign(header[:len(header)-1]+text+"}", tokentest.Text(m.claims))
	}
}

// replaced changes the text of the claims.
func replaced(old, now string) func(*mint) string {
	return func(m *mint) string {
		return m.Sign(tokentest.Text(m.header), strings.Replace(tokentest.Text(m.claims), old, now, 1))
	}
}

// spelt changes the finished text of a good token.
func spelt(change func(raw string) string) func(*mint) string {
	return func(m *mint) string { return change(m.sign()) }
}

// formVectors are wrong before anything in them is read (S-T12, S-T13, S-T16).
func formVectors() []vector {
	part := func(n int, change func(string) string) func(*mint) string {
		return spelt(func(raw string) string {
			parts := strings.Split(raw, ".")
			parts[n] = change(parts[n])
			return strings.Join(parts, ".")
		})
	}
	pad := func(s string) string { return s + strings.Repeat("=", (4-len(s)%4)%4) }
	insert := func(c string) func(string) string { return func(s string) string { return s[:2] + c + s[2:] } }
	standard := func(s string) string {
		data, _ := base64.RawURLEncoding.DecodeString(s)
		return base64.StdEncoding.EncodeToString(append(data, 0xff, 0xfe))
	}
	return []vector{
		{name: "S-T13 nothing", make: func(*mint) string { return "" }},
		{name: "S-T13 a word", make: func(*mint) string { return "token" }},
		{name: "S-T13 dots alone", make: func(*mint) string { return ".." }},
		{name: "S-T13 two parts", make: spelt(func(raw string) string { return raw[:strings.LastIndexByte(raw, '.')] })},
		{name: "S-T13 no signature", make: spelt(func(raw string) string { return raw[:strings.LastIndexByte(raw, '.')+1] })},
		{name: "S-T13 four parts", make: spelt(func(raw string) string { return raw + ".e30" })},
		{name: "S-T13 an empty fourth part", make: spelt(func(raw string) string { return raw + "." })},
		{name: "S-T13 five parts, as a JWE has", make: spelt(func(raw string) string { return raw + ".e30.e30" })},
		{name: "S-T13 no header", make: part(0, func(string) string { return "" })},
		{name: "S-T13 no payload", make: part(1, func(string) string { return "" })},
		{name: "S-T13 padding on the header", make: part(0, func(s string) string { return pad(s) + "=" })},
		{name: "S-T13 padding on the payload", make: part(1, func(s string) string { return pad(s) + "=" })},
		{name: "S-T13 padding on the signature", make: part(2, func(s string) string { return pad(s) + "=" })},
		{name: "S-T13 standard base64", make: part(2, standard)},
		{name: "S-T13 a line feed in the header", make: part(0, insert("\n"))},
		{name: "S-T13 a line feed in the payload", make: part(1, insert("\n"))},
		{name: "S-T13 a carriage return in the signature", make: part(2, insert("\r"))},
		{name: "S-T13 a space in front", make: spelt(func(raw string) string { return " " + raw })},
		{name: "S-T13 a line feed behind", make: spelt(func(raw string) string { return raw + "\n" })},
		{name: "S-T13 a NUL in the payload", make: part(1, insert("\x00"))},
		{name: "S-T13 a JSON serialization", make: spelt(func(raw string) string {
			parts := strings.Split(raw, ".")
			return `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`
		})},
		{name: "S-T16 more than 8 KiB", make: with("note", strings.Repeat("x", token.MaxBytes))},
		{name: "S-T16 a megabyte", make: spelt(func(raw string) string { return raw + strings.Repeat("A", 1<<20) })},
		{name: "S-T16 ten thousand dots", make: func(*mint) string { return strings.Repeat(".", 10_000) }},
		{name: "S-T16 eight thousand dots", make: func(*mint) string { return strings.Repeat(".", 8_000) }},
		{name: "S-T16 nested arrays", make: after(`,"deep":` + strings.Repeat("[", 100) + strings.Repeat("]", 100))},
		{name: "S-T16 nested objects", make: after(`,"deep":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100))},
		{name: "S-T16 nesting without an end", make: after(`,"deep":` + strings.Repeat("[", 3000))},
		{name: "S-T16 a header of many members", make: headAfter(manyMembers(100))},
		{name: "S-T16 claims of many members", make: after(manyMembers(100))},
	}
}

func manyMembers(n int) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(`,"m` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `":1`)
	}
	return out.String()
}

// headerVectors have a header that ours never have (S-T1, S-T3 to S-T6, S-T12).
func headerVectors() []vector {
	out := []vector{
		{name: "S-T1 no alg", make: head("alg", absent)},
		{name: "S-T1 alg is null", make: head("alg", nil)},
		{name: "S-T1 alg is a list", make: head("alg", []string{"EdDSA"})},
		{name: "S-T1 alg in another case", make: head("alg", "eddsa")},
		{name: "S-T1 alg that is not allowed", make: head("alg", "ES384")},
		{name: "S-T1 alg PS256", make: head("alg", "PS256")},
		{name: "S-T19 alg Ed25519 for a JWK that says EdDSA", make: head("alg", "Ed25519")},
		{name: "S-T4 no kid", make: head("kid", absent)},
		{name: "S-T4 an empty kid", make: head("kid", "")},
		{name: "S-T4 kid is a number", make: head("kid", 1)},
		{name: "S-T4 an unknown kid", make: head("kid", "nobody")},
		{name: "S-T4 a very long kid", make: head("kid", strings.Repeat("k", 1000))},
		{name: "S-T4 kid with a path", make: head("kid", "../../../dev/null")},
		{name: "S-T4 kid in another case", make: func(m *mint) string {
			m.header["kid"] = strings.ToUpper(m.KeyID)
			return m.sign()
		}},
		{name: "S-T5 any crit is refused", make: head("crit", []string{"exp"})},
		{name: "S-T5 an empty crit", make: head("crit", []string{})},
		{name: "S-T5 crit is null", make: head("crit", nil)},
		{name: "S-T5 crit with b64", make: func(m *mint) string {
			m.header["crit"], m.header["b64"] = []string{"b64"}, true
			return m.sign()
		}},
		{name: "S-T5 b64 alone", make: head("b64", false)},
		{name: "S-T6 no typ", make: head("typ", absent)},
		{name: "S-T6 typ JWT", make: head("typ", "JWT")},
		{name: "S-T6 typ of a refresh token", make: head("typ", "rt+jwt")},
		{name: "S-T6 typ of a logout token", make: head("typ", "logout+jwt")},
		{name: "S-T6 typ with a parameter", make: head("typ", "at+jwt; v=1")},
		{name: "S-T6 typ is a list", make: head("typ", []string{"at+jwt"})},
		{name: "S-T6 typ with a space", make: head("typ", " at+jwt")},
		{name: "S-T12 kid twice", make: headAfter(`,"kid":"x"`)},
		{name: "S-T12 alg twice", make: headAfter(`,"alg":"none"`)},
		{name: "S-T12 alg twice, once escaped", make: headAfter(`,"\u0061lg":"none"`)},
		{name: "S-T12 a variant of alg", make: headAfter(`,"ALG":"none"`)},
		{name: "S-T12 a variant of kid with the Kelvin sign", make: headAfter(`,"` + "\u212a" + `id":"x"`)},
		{name: "S-T12 a variant of crit", make: headAfter(`,"Crit":["x"]`)},
		{name: "S-T12 the header is an array", make: func(m *mint) string { return m.Sign("[]", tokentest.Text(m.claims)) }},
		{name: "S-T12 the header is null", make: func(m *mint) string { return m.Sign("null", tokentest.Text(m.claims)) }},
		{name: "S-T12 the header is broken", make: headAfter(`,`)},
		{name: "S-T16 a compressed token", make: head("zip", "DEF")},
		{name: "S-T16 an encrypted token", make: func(m *mint) string {
			m.header["alg"], m.header["enc"], m.header["p2c"] = "PBES2-HS256+A128KW", "A128GCM", 1<<30
			return m.sign()
		}},
	}
	for _, name := range []string{"jku", "x5u", "jwk", "x5c"} {
		out = append(out, vector{name: "S-T3 " + name + " is not followed", make: head(name, "https://evil.test/keys")})
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", " none", "none ", "none\u0000", ""} {
		out = append(out,
			vector{name: "S-T1 alg " + none + " unsigned", make: unsigned(map[string]any{"alg": none}, nothing)},
			vector{name: "S-T1 alg " + none + " with a signature", make: head("alg", none)})
	}
	return out
}
