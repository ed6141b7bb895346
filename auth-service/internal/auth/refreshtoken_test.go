package auth

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func testKeys(t testing.TB) refreshKeys {
	t.Helper()
	keys, err := newRefreshKeys([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func testToken() refreshToken {
	return firstRefreshToken("01890a5d-ac96-774b-bcce-b302099a8057", [refreshSecretSize]byte{1, 2, 3})
}

// The derivation must never change: tokens in the hands of clients would lose
// their successors.
func TestRefreshToken_derivationIsForEver(t *testing.T) {
	keys, token := testKeys(t), testToken()
	const first = "ghr_AYkKXayWd0u8zrMCCZqAVwAAAAABAgMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if got := keys.encode(token); !strings.HasPrefix(got, first[:70]) || len(got) != 95 {
		t.Errorf("the first token is %q", got)
	}
	next := keys.next(token)
	const secret = "95263d19f6f3e314e0c92979d1231c37bae7890ceafab051610314aa6e4b1fed"
	if got := hex.EncodeToString(next.secret[:]); got != secret || next.generation != 1 || next.session != token.session {
		t.Errorf("the successor is number %d with secret %s, want 1 and %s", next.generation, got, secret)
	}
	if again := keys.next(token); again != next {
		t.Error("the same token has two successors")
	}
	other, err := newRefreshKeys([]byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	if other.next(token) == next {
		t.Error("the successor does not depend on the server's key")
	}
	if _, ok := other.decode(keys.encode(token)); ok {
		t.Error("a server with another key takes the token for its own")
	}
}

func FuzzRefreshToken_decode(f *testing.F) {
	keys := testKeys(f)
	good := keys.encode(testToken())
	for _, seed := range []string{"", "ghr_", good, good[:94], good + "=", strings.ToUpper(good), "ghr_" + strings.Repeat("A", 91), "ghr_" + strings.Repeat("A", 64) + strings.Repeat("\n", 27)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := keys.decode(text)
		if ok && (keys.encode(token) != text || text != good) {
			t.Errorf("%q was taken for a token of this server", text)
		}
	})
}

func TestUUID7_growsWithTimeAndNumber(t *testing.T) {
	at := time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC)
	last := ""
	for _, id := range []string{
		uuid7(at, 1, [16]byte{15: 0xff}), uuid7(at, 2, [16]byte{}), uuid7(at.Add(time.Millisecond), 1, [16]byte{}),
		uuid7(at.Add(time.Hour), 1<<20, [16]byte{}),
	} {
		if len(id) != 36 || id[14] != '7' || id[19] != '8' || id <= last {
			t.Errorf("%s after %s", id, last)
		}
		last = id
	}
	if got := uuid7(at, 0, [16]byte{8: 0xff}); got != "019d3751-c593-71c8-bf00-000000000000" {
		t.Errorf("got %s", got)
	}
}

// S-R2: a token has one successor whichever of the known keys is in use.
func TestRefreshToken_keysAreReplaced(t *testing.T) {
	one, two := []byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 32))
	keys := func(key []byte, others ...[]byte) refreshKeys {
		t.Helper()
		made, err := newRefreshKeys(key, others...)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	before, knowing, after, alone := keys(one), keys(one, two), keys(two, one), keys(two)
	text := before.encode(testToken())
	if text != knowing.encode(testToken()) {
		t.Error("a key that is only known makes another text")
	}
	for name, k := range map[string]refreshKeys{"knowing": knowing, "after": after} {
		if got, ok := k.decode(text); !ok || got != testToken() {
			t.Errorf("%s: a token of the first key is not known", name)
		}
		if _, ok := k.decode(after.encode(testToken())); !ok {
			t.Errorf("%s: a token of the second key is not known", name)
		}
	}
	if _, ok := alone.decode(text); ok {
		t.Error("a token of a key that was given up is known")
	}
	next := before.next(testToken())
	for name, k := range map[string]refreshKeys{"knowing": knowing, "after": after} {
		if got := k.again(testToken(), next.hash()); got != next {
			t.Errorf("%s: a retry gets another successor than the first call", name)
		}
	}
	if after.next(testToken()) != alone.next(testToken()) || after.next(testToken()) == next {
		t.Error("new successors are not those of the key in use")
	}
}
