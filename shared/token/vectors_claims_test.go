package token_test

import (
	"strings"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token/tokentest"
)

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
		{name: "S-T16 more roles than anybody has", make: with("roles", strings.Split(strings.Repeat("r ", 64)+"r", " "))},
		{name: "S-T11 a role with a comma", make: with("roles", []string{"user,admin"})},
		{name: "S-T11 a role with a line end", make: with("roles", []string{"user\r\nX-User-Roles: admin"})},
		{name: "S-T11 email_verified is text", make: with("email_verified", "true")},
		{name: "S-T11 email_verified is a number", make: with("email_verified", 1)},
		{name: "S-T11 amr is text", make: with("amr", "pwd")},
		{name: "S-T11 mfa_roles is text", make: with("mfa_roles", "admin")},
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
