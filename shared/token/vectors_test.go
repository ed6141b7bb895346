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
	"time"

	"gatehouse.internal/shared/contract"
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

// claimVectors have claims that are missing, of the wrong type or wrong
// (S-T7 to S-T12).
func claimVectors() []vector {
	out := []vector{
		{name: "S-T7 another issuer", make: with("iss", "https://evil.test")},
		{name: "S-T7 the issuer with a slash", make: with("iss", tokentest.IssuerURL+"/")},
		{name: "S-T7 the issuer in another case", make: with("iss", strings.ToUpper(tokentest.IssuerURL))},
		{name: "S-T7 the issuer in a list", make: with("iss", []string{tokentest.IssuerURL})},
		{name: "S-T8 another audience", make: with("aud", "other-api")},
		{name: "S-T8 other audiences", make: with("aud", []string{"other-api", tokentest.Audience + "/"})},
		{name: "S-T8 an empty list of audiences", make: with("aud", []string{})},
		{name: "S-T8 an audience among numbers", make: with("aud", []any{1, tokentest.Audience})},
		{name: "S-T8 audience as an object", make: with("aud", map[string]any{tokentest.Audience: 1})},
		{name: "S-T11 ver is missing", make: with("ver", absent)},
		{name: "S-T11 ver is text", make: with("ver", "1")},
		{name: "S-T11 ver is negative", make: with("ver", -1)},
		{name: "S-T11 ver is a fraction", make: with("ver", 1.5)},
		{name: "S-T11 ver is 1.0", make: replaced(`"ver":1`, `"ver":1.0`)},
		{name: "S-T11 ver is too great to be exact", make: replaced(`"ver":1`, `"ver":9007199254740993`)},
		{name: "S-T11 roles is text", make: with("roles", "admin")},
		{name: "S-T11 roles is null", make: with("roles", nil)},
		{name: "S-T11 roles has a number", make: with("roles", []any{1})},
		{name: "S-T11 roles has an empty one", make: with("roles", []string{""})},
		{name: "S-T11 a role with a comma", make: with("roles", []string{"user,admin"})},
		{name: "S-T11 a role with a line end", make: with("roles", []string{"user\r\nX-User-Roles: admin"})},
		{name: "S-T11 email_verified is text", make: with("email_verified", "true")},
		{name: "S-T11 email_verified is a number", make: with("email_verified", 1)},
		{name: "S-T11 amr is text", make: with("amr", "pwd")},
		{name: "S-T9 exp past, beyond the leeway", make: times("exp", -31), kind: fault.TokenExpired},
		{name: "S-T9 exp past by exactly the leeway", make: times("exp", -30), kind: fault.TokenExpired},
		{name: "S-T9 exp not after iat", make: func(m *mint) string {
			m.claims["exp"] = m.claims["iat"]
			return m.sign()
		}},
		{name: "S-T10 exp too long after iat", make: times("exp", 3601)},
		{name: "S-T10 exp in the year 9999", make: with("exp", 253402300799)},
		{name: "S-T10 nbf in the future", make: times("nbf", 31)},
		{name: "S-T10 nbf 1e300", make: replaced(`"nbf":`, `"nbf":1e300,"was":`)},
		{name: "S-T10 iat in the future", make: times("iat", 31)},
		{name: "S-T12 claims are an array", make: func(m *mint) string { return m.Sign(tokentest.Text(m.header), "[]") }},
		{name: "S-T12 claims are null", make: func(m *mint) string { return m.Sign(tokentest.Text(m.header), "null") }},
		{name: "S-T12 claims are empty", make: func(m *mint) string { return m.Sign(tokentest.Text(m.header), "{}") }},
		{name: "S-T12 claims are text", make: func(m *mint) string { return m.Sign(tokentest.Text(m.header), `"x"`) }},
		{name: "S-T12 a comma too many", make: after(",")},
		{name: "S-T12 sub twice, the same", make: before(`"sub":"01890a5d-ac96-774b-bcce-b302099a8057",`)},
		{name: "S-T12 sub twice, another", make: after(`,"sub":"root"`)},
		{name: "S-T12 exp twice", make: after(`,"exp":99999999999`)},
		{name: "S-T12 exp twice, once escaped", make: after(`,"\u0065xp":99999999999`)},
		{name: "S-T12 an unknown claim twice", make: after(`,"x":1,"x":2`)},
		{name: "S-T12 a claim twice inside a claim", make: after(`,"x":{"a":1,"a":2}`)},
		{name: "S-T12 EXP", make: after(`,"EXP":99999999999`)},
		{name: "S-T12 Exp alone", make: replaced(`"exp"`, `"Exp"`)},
		{name: "S-T12 AUD alone", make: replaced(`"aud"`, `"AUD"`)},
		{name: "S-T12 iss with a long s", make: replaced(`"iss"`, `"is`+"\u017f"+`"`)},
		{name: "S-T12 iss and its variant with a long s", make: after(`,"is` + "\u017f" + `":"x"`)},
		{name: "S-T12 iss and its variant with an escaped long s", make: after(`,"is\u017f":"x"`)},
		{name: "S-T12 a variant of roles", make: after(`,"Roles":["admin"]`)},
		{name: "S-T12 a byte order mark", make: func(m *mint) string {
			return m.Sign(tokentest.Text(m.header), "\ufeff"+tokentest.Text(m.claims))
		}},
		{name: "S-T12 a byte order mark before the header", make: func(m *mint) string {
			return m.Sign("\ufeff"+tokentest.Text(m.header), tokentest.Text(m.claims))
		}},
		{name: "S-T12 data after the claims", make: func(m *mint) string {
			return m.Sign(tokentest.Text(m.header), tokentest.Text(m.claims)+"{}")
		}},
		{name: "S-T12 a NUL after the claims", make: func(m *mint) string {
			return m.Sign(tokentest.Text(m.header), tokentest.Text(m.claims)+"\x00")
		}},
		{name: "S-T12 data after the header", make: func(m *mint) string {
			return m.Sign(tokentest.Text(m.header)+" x", tokentest.Text(m.claims))
		}},
		{name: "S-T12 invalid UTF-8 in a claim", make: after(",\"x\":\"\xff\"")},
		{name: "S-T12 invalid UTF-8 in a name", make: after(",\"x\xc3\":1")},
		{name: "S-T12 an overlong encoding", make: after(",\"x\":\"\xc0\xaf\"")},
		{name: "S-T12 half a surrogate pair", make: after(`,"x":"\ud800"`)},
		{name: "S-T12 a control character in a string", make: after(",\"x\":\"\n\"")},
		{name: "S-T12 an escape that is none", make: after(`,"x":"\q"`)},
		{name: "S-T12 a number that is none", make: after(`,"x":01`)},
		{name: "S-T12 a word that is none", make: after(`,"x":True`)},
		{name: "S-T12 a name without quotes", make: after(`,x:1`)},
		{name: "S-T12 a comment", make: after(`/**/`)},
		{name: "S-T12 two claims without a comma", make: after(`"x":1`)},
	}
	for _, name := range []string{"iss", "sub", "sid", "jti", "client_id"} {
		for what, value := range map[string]any{
			"missing": absent, "empty": "", "null": nil, "a number": 7, "a list": []string{"a"}, "an object": map[string]any{},
			"true": true, "with a line end": "a\nb", "with a space": "a b", "not ASCII": "ä", "very long": strings.Repeat("a", 300),
		} {
			out = append(out, vector{name: "S-T11 " + name + " is " + what, make: with(name, value)})
		}
	}
	for _, name := range []string{"aud"} {
		for what, value := range map[string]any{"missing": absent, "empty": "", "null": nil, "a number": 7} {
			out = append(out, vector{name: "S-T8 " + name + " is " + what, make: with(name, value)})
		}
	}
	for _, name := range []string{"exp", "iat"} {
		out = append(out, vector{name: "S-T9 " + name + " is missing", make: with(name, absent)})
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		for _, text := range []string{
			`"1900000000"`, `null`, `true`, `[]`, `{}`, `0`, `-0`, `-1`, `0.0`, `1e-400`, `1e9`, `1E300`, `1.9e9`, `-1.9e9`,
			`1900000000.5`, `9223372036854775807`, `9223372036854775808`, `18446744073709551616`, `1e1000000`, `NaN`, `0x10`, `+1`,
		} {
			if name == "nbf" && text == "0" {
				continue // a good token: valid since 1970
			}
			out = append(out, vector{name: "S-T9 " + name + " is " + text, make: replaced(`"`+name+`":`, `"`+name+`":`+text+`,"was":`)})
		}
	}
	return out
}

// times puts a NumericDate into a claim, seconds from now.
func times(name string, seconds int64) func(*mint) string {
	return func(m *mint) string {
		if name == "exp" && seconds < 0 {
			m.claims["iat"] = m.now.Unix() - 900
			delete(m.claims, "nbf")
		}
		m.claims[name] = m.now.Unix() + seconds
		return m.sign()
	}
}

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
