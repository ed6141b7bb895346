package password

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/fault"
)

func TestRules_Problems(t *testing.T) {
	rules := Rules{MinLength: DefaultMinLength, Service: []string{"gatehouse"}}
	own := []string{"ada.lovelace@mill.example.com", "Ada", "Lovelace"}
	for password, want := range map[string]string{
		"fourteen chars":                              "must have at least 15 characters",
		"fifteen chars!!":                             "",
		"correct horse battery staple 9":              "",
		"a rather long passphrase 77":                 "",
		"ＡＢＣＤＥＦＧ ｈｉｊ ｘ１２３４":                           "", // full width, NFKC
		"ﬁﬁﬁﬁﬁﬁ xyz":                                  "", // ligatures are two characters each
		"日本語のとても長い合言葉です":                              "must have at least 15 characters",
		"日本語のとても長い合言葉です!!":                            "",
		"e\u0301a\u0301i\u0301o\u0301u\u0301 xyz 123": "must have at least 15 characters", // composed before counting
		strings.Repeat("äb ", 85) + "x":               "",
		strings.Repeat("äb ", 85):                     "repeats a short pattern",
		strings.Repeat("x", 257):                      "must have at most 256 characters",
		"1qaz2wsx3edc4rfv":                            "is one of the most common passwords",
		"1QAZ2wsx3EDC4rfv":                            "is one of the most common passwords",
		"footballfootball":                            "is one of the most common passwords",
		"abcabcabcabcabcabc":                          "repeats a short pattern",
		"aaaaaaaaaaaaaaa":                             "repeats a short pattern",
		"abcdefghijklmnop":                            "is a plain sequence of characters",
		"zyxwvutsrqponmlk":                            "is a plain sequence of characters",
		"5678901234567890":                            "is a plain sequence of characters",
		"Gatehouse-gatehouse-1":                       "besides your name",
		"ada.lovelace@mill.example.com":               "besides your name",
		"LovelaceLovelace1":                           "besides your name",
		"lovelace walks by the river":                 "",
		"\xff\xfe not text at all, really":            "must be valid UTF-8",
	} {
		got := strings.Join(rules.Problems(password, own...), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", password, got, want)
		}
	}
	if got := (Rules{MinLength: LeastMinLength}).Problems("password1"); len(got) == 0 {
		t.Error("a common password of eight characters passes where eight are enough")
	}
}

func TestPeriod(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a": 1, "aaaa": 1, "abab": 2, "ababa": 2, "abcab": 3, "abcd": 4} {
		if got := period([]rune(text)); got != want {
			t.Errorf("period(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestCommon_holdsTheWholeList(t *testing.T) {
	if n := len(commonDigests) / digestSize; n != 17950 || len(commonDigests)%digestSize != 0 {
		t.Fatalf("the list has %d entries in %d bytes, want 17950", n, len(commonDigests))
	}
	for i := digestSize; i < len(commonDigests); i += digestSize {
		if commonDigests[i-digestSize:i] >= commonDigests[i:i+digestSize] {
			t.Fatalf("entries are not sorted at %d", i)
		}
	}
	for password, want := range map[string]bool{"password": true, "12345678": true, "baseball": true, "": false, "zebra on stilts": false} {
		if got := common(password); got != want {
			t.Errorf("common(%q) = %v, want %v", password, got, want)
		}
	}
}

// cheap is as weak as the bounds allow, so that tests are quick.
func cheap(t *testing.T, change ...func(*Settings)) *Argon2id {
	t.Helper()
	s := Settings{Memory: 7168, Passes: 1}
	for _, c := range change {
		c(&s)
	}
	h, err := NewArgon2id(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestArgon2id_matchesWhatItHashed(t *testing.T) {
	h := cheap(t)
	hash := func(password string) string {
		t.Helper()
		out, err := h.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		hashed, given string
		want          bool
	}{
		{"a rather long passphrase", "a rather long passphrase", true},
		{"a rather long passphrase", "a rather long Passphrase", false},
		{"a rather long passphrase", "", false},
		{"S-W2 caf\u00e9", "S-W2 cafe\u0301", true}, // NFKC
		{"S-W2 " + long, "S-W2 " + long, true},
		{"S-W2 " + long, "S-W2 " + long[1:], false}, // nothing is cut off
		{"", "", true},
	} {
		got, err := h.Matches(t.Context(), hash(c.hashed), c.given)
		if got != c.want || err != nil {
			t.Errorf("%.30q against %.30q: %v, %v; want %v", c.given, c.hashed, got, err, c.want)
		}
	}
	if one, two := hash("same"), hash("same"); one == two {
		t.Error("two hashes of one password have the same salt")
	}
	if got, err := h.Matches(t.Context(), "", "anything"); got || err != nil {
		t.Errorf("no hash at all: %v, %v; want no match", got, err)
	}
}

func TestArgon2id_SW4_knownVectorAndDefaults(t *testing.T) {
	// Made with the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
	const vector = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := NewArgon2id(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Matches(t.Context(), vector, "password"); !got || err != nil {
		t.Errorf("the reference's hash: %v, %v; want a match", got, err)
	}
	if !h.Outdated(vector) {
		t.Error("a hash with other parameters is not outdated")
	}
	mine, err := h.Hash(t.Context(), "password")
	if err != nil || !strings.HasPrefix(mine, "$argon2id$v=19$m=19456,t=2,p=1$") || h.Outdated(mine) {
		t.Errorf("a hash by default is %q (%v)", mine, err)
	}
}

func TestParsePHC_refusesWhatStringCannotHaveWritten(t *testing.T) {
	const good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p, err := parsePHC(good)
	if err != nil || p.String() != good {
		t.Fatalf("%v, %q", err, p)
	}
	for _, change := range [][2]string{
		{"argon2id", "argon2i"}, {"v=19", "v=16"}, {"m=19456", "m=4194304"}, {"m=19456", "m=8"}, {"t=2", "t=0"},
		{"t=2", "t=1000"}, {"p=1", "p=0"}, {"p=1", "p=999"}, {"c29tZXNhbHQ", "c2E"}, {"c29tZXNhbHQ", "!!!"}, {"PPc", "PP"}, {"$CTFhFdXPJO1aFaMaO6Mm5c8y", "$"}, {"$c29", "c29"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := parsePHC(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
		h := cheap(t)
		if _, err := h.Matches(t.Context(), bad, "x"); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("Matches with %q: %v, want an internal failure", bad, err)
		}
		if !h.Outdated(bad) {
			t.Errorf("%q is up to date", bad)
		}
	}
}

func TestNewArgon2id_refusesParametersOutOfBounds(t *testing.T) {
	for _, s := range []Settings{{Memory: 1024}, {Passes: 100}, {Threads: 100}, {Concurrent: -1}, {Waiting: -1}} {
		if _, err := NewArgon2id(s); err == nil {
			t.Errorf("%+v passes", s)
		}
	}
}

func TestArgon2id_SW5_refusesMoreThanTheQueueHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := cheap(t, func(s *Settings) { s.Concurrent, s.Waiting = 1, 2 })
		h.slots <- struct{}{} // somebody is at work
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		waited := make([]error, 2)
		for i := range waited {
			wg.Go(func() { _, waited[i] = h.Hash(ctx, "x") })
		}
		synctest.Wait() // both are in the queue
		_, err := h.Matches(t.Context(), "", "x")
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Overloaded || f.RetryAfter != time.Second {
			t.Errorf("one too many: %v, want overloaded", err)
		}
		cancel() // the clients go away: their places are free, the slot is not
		wg.Wait()
		kinds := []fault.Kind{fault.KindOf(waited[0]), fault.KindOf(waited[1])}
		if diff := cmp.Diff([]fault.Kind{fault.Overloaded, fault.Overloaded}, kinds); diff != "" {
			t.Errorf("those who left (-want +got):\n%s", diff)
		}
		if len(h.slots) != 1 || h.waiting.Load() != 0 {
			t.Errorf("%d slots taken and %d waiting, want 1 and 0", len(h.slots), h.waiting.Load())
		}
		<-h.slots
		if _, err := h.Hash(t.Context(), "x"); err != nil || len(h.slots) != 0 {
			t.Errorf("once there is room: %v, and %d slots stay taken", err, len(h.slots))
		}
	})
}

func TestArgon2id_aSaltThatCannotBeDrawnIsAnError(t *testing.T) {
	h := cheap(t, func(s *Settings) { s.Random = strings.NewReader("short") })
	if _, err := h.Hash(t.Context(), "x"); err == nil {
		t.Error("Hash made do with half a salt")
	}
}

func BenchmarkArgon2id_Matches(b *testing.B) {
	h, err := NewArgon2id(Settings{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := h.Matches(b.Context(), "", "a rather long passphrase"); err != nil {
			b.Fatal(err)
		}
	}
}
