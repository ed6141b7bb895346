package framing_test

import (
	"net/textproto"
	"strings"
	"testing"

	"gatehouse.internal/shared/httpx/framing"
)

func TestCanonical_spells_as_net_textproto(t *testing.T) {
	for _, name := range []string{"", "Host", "host", "HOST", "X-Request-Id", "x-request-ID", "X-a", "-", "A--b", "1-a", "a_b", "TE", "é"} {
		if got, want := framing.Canonical(name), textproto.CanonicalMIMEHeaderKey(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { framing.Canonical("X-Forwarded-For") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFieldValue(t *testing.T) {
	for i := range 32 {
		before := strings.Repeat("v", i)
		for c := range 256 {
			want := c >= ' ' && c != 0x7f || c == '\t'
			if got := framing.FieldValue(before + string([]byte{byte(c)}) + "rest of it"); got != want {
				t.Fatalf("octet %#x behind %d others: %t", c, i, got)
			}
		}
	}
	long := strings.Repeat("v", 1000)
	if n := testing.AllocsPerRun(100, func() { framing.FieldValue(long) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
