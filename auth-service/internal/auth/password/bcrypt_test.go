package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gatehouse.internal/shared/fault"
)

// imported makes a hash as another system had it.
func imported(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestArgon2id_SW4_matchesImportedBcryptHashes(t *testing.T) {
	h := cheap(t)
	h.Expect(Stored{BcryptCost: 5})
	long := strings.Repeat("x", 72)
	for _, c := range []struct {
		hashed, given string
		want          bool
	}{
		{"a rather long passphrase", "a rather long passphrase", true},
		{"a rather long passphrase", "a rather long Passphrase", false},
		{"a rather long passphrase", "", false},
		{"caf\u00e9", "cafe\u0301", true}, // typed another way
		{"cafe\u0301", "cafe\u0301", true},
		{long, long, true},
		{long, long + "y", false}, // S-W4: bcrypt would not see the end
	} {
		got, err := h.Matches(t.Context(), imported(t, c.hashed, 4), c.given)
		if got != c.want || err != nil {
			t.Errorf("%.30q against %.30q: %v, %v; want %v", c.given, c.hashed, got, err, c.want)
		}
	}
	if !h.Outdated(imported(t, "x", 4)) {
		t.Error("a bcrypt hash is not outdated")
	}
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		hash := prefix + imported(t, "the same in all dialects", 4)[4:]
		if got, err := h.Matches(t.Context(), hash, "the same in all dialects"); !got || err != nil {
			t.Errorf("%s: %v, %v", prefix, got, err)
		}
	}
	if _, err := h.Matches(t.Context(), "$2a$04$short", "x"); fault.KindOf(err) != fault.Internal {
		t.Errorf("half a hash: %v, want an internal failure", err)
	}
	mine, err := h.Hash(t.Context(), "a rather long passphrase")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Matches(t.Context(), mine, "a rather long passphrase"); !got || err != nil {
		t.Errorf("a hash of our own beside imported ones: %v, %v", got, err)
	}
	if got, err := h.Matches(t.Context(), "", "anything"); got || err != nil {
		t.Errorf("no hash at all: %v, %v", got, err)
	}
}

func TestCheckHash(t *testing.T) {
	good := imported(t, "x", 10)
	const phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, hash := range []string{good, "$2y$" + good[4:], phc} {
		if err := CheckHash(hash); err != nil {
			t.Errorf("%q: %v", hash, err)
		}
	}
	for _, hash := range []string{
		"", "secret", good[:59], good + "x", "$2a$04" + good[6:], "$2a$31" + good[6:], "$2a$xx" + good[6:], "$2x$" + good[4:],
		good[:20] + "!" + good[21:], strings.Replace(phc, "m=19456", "m=9999999", 1), "5f4dcc3b5aa765d61d8327deb882cf99",
	} {
		if err := CheckHash(hash); err == nil || len(hash) > 10 && strings.Contains(err.Error(), hash) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}

func FuzzCheckHash(f *testing.F) {
	f.Add(imported(f, "x", 10))
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, hash string) {
		if CheckHash(hash) == nil && isBcrypt(hash) {
			if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost < LeastBcryptCost || cost > MostBcryptCost {
				t.Fatalf("%q passes: %d, %v", hash, cost, err)
			}
		}
	})
}
