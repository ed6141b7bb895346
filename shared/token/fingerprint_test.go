package token

import (
	"strings"
	"testing"
)

func TestFingerprints_tell_tokens_apart(t *testing.T) {
	for name, f := range map[string]*fingerprints{"GMAC": newFingerprints(), "without GCM": {}} {
		t.Run(name, func(t *testing.T) {
			if (f.mac == nil) != (name == "without GCM") {
				t.Fatal("it is the other kind")
			}
			raw := strings.Repeat("eyJhbGciOiJSUzI1NiJ9.", 30)
			seen := map[fingerprint]string{}
			note := func(text string) {
				got := f.of(text)
				if before, has := seen[got]; has {
					t.Errorf("%q and %q have the same", before, text)
				}
				seen[got] = text
				if again := f.of(strings.Clone(text)); again != got {
					t.Errorf("%q has %x and %x", text, got, again)
				}
			}
			note(raw)
			for i := range raw {
				for bit := range 8 {
					note(raw[:i] + string([]byte{raw[i] ^ 1<<bit}) + raw[i+1:])
				}
				note(raw[:i])
			}
			for _, more := range []string{"\x00", "\x00\x00", strings.Repeat("\x00", 16)} {
				note(raw + more)
			}
		})
	}
	if one, other := newFingerprints(), newFingerprints(); one.of("token") == other.of("token") {
		t.Error("two processes would have the same")
	}
}
