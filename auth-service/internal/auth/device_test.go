package auth

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"
	"time"
)

func FuzzDeviceKeys_read(f *testing.F) {
	keys := newDeviceKeys(bytes.Repeat([]byte{1}, 32))
	at := time.Unix(1_800_000_000, 0)
	for n := range 10 {
		d := device{}
		for i := range n {
			d = keys.with(d, string(rune('a'+i))+"@example.com", at)
		}
		f.Add(keys.write(d, at))
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := keys.read(text, at)
		if !ok {
			return
		}
		if len(d.accounts) > maxDeviceTags {
			t.Fatalf("%d accounts", len(d.accounts))
		}
		if again, ok := keys.read(keys.write(d, at), at); !ok || again.id != d.id || !slices.Equal(again.accounts, d.accounts) {
			t.Fatalf("%q is read as %v, and that as %v", text, d, again)
		}
	})
}

func TestDeviceKeys_readTokensOfBeforeTimesWereNoted(t *testing.T) {
	keys := newDeviceKeys(bytes.Repeat([]byte{1}, 32))
	at := time.Unix(1_800_000_000, 0)
	d := keys.with(keys.with(device{}, "ada@example.com", at), "bob@example.com", at)
	body := append([]byte{deviceUndated}, d.id[:]...)
	body = append(body, 0x6b, 0x49, 0xd2, 0x00) // that time
	for _, a := range d.accounts {
		body = append(body, a.tag[:]...)
	}
	got, ok := keys.read(base64.RawURLEncoding.EncodeToString(append(body, keys[0].macOf(body)...)), at)
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		if a, known := keys.find(got, email); !ok || !known || a.at != 0 {
			t.Errorf("%s on a device with such a token: %v, %v at %d; want it known, at no time", email, ok, known, a.at)
		}
		if a, known := keys.find(d, email); !known || a.at != 1_800_000_000 {
			t.Errorf("%s on a device with a token of today: %v at %d", email, known, a.at)
		}
	}
}
