package auth

import (
	"bytes"
	"testing"
	"time"
)

func FuzzDeviceKeys_read(f *testing.F) {
	keys := newDeviceKeys(bytes.Repeat([]byte{1}, 32))
	at := time.Unix(1_800_000_000, 0)
	for n := range 10 {
		d := device{}
		for i := range n {
			d = keys.with(d, string(rune('a'+i))+"@example.com")
		}
		f.Add(keys.write(d, at))
	}
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := keys.read(text, at)
		if !ok {
			return
		}
		if len(d.tags) > maxDeviceTags {
			t.Fatalf("%d accounts", len(d.tags))
		}
		if again, ok := keys.read(keys.write(d, at), at); !ok || again.id != d.id || len(again.tags) != len(d.tags) {
			t.Fatalf("%q is read as %v, and that as %v", text, d, again)
		}
	})
}
