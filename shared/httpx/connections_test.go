package httpx

import (
	"net"
	"net/netip"
	"testing"
)

// accept gives a TCP connection as a server has it.
func accept(t *testing.T) *net.TCPConn {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = conn.Close() })
	return conn
}

func TestConnections_SP16_the_one_that_rests_the_longest_makes_room(t *testing.T) {
	limits := Limits{Connections: 4}
	limits.complete()
	open := newConnections(&limits)
	var all []*connection
	for _, since := range []int64{0, 30, 10, 20} { // 0 is busy
		c, refused := open.admit(accept(t))
		if refused != "" {
			t.Fatal(refused)
		}
		c.resting.Store(since)
		all = append(all, c)
	}
	all[3].protocol.Store(int32(http2))
	for i, want := range []int{2, 1} {
		c, refused := open.admit(accept(t))
		if refused != "" {
			t.Fatalf("no room for number %d: %s", 5+i, refused)
		}
		c.resting.Store(0)
		if !all[want].closed.Load() {
			t.Errorf("for number %d, connection %d did not make room", 5+i, want)
		}
	}
	if all[0].closed.Load() || all[3].closed.Load() || open.count() != 4 {
		t.Errorf("the others: %v %v, %d are counted", all[0].closed.Load(), all[3].closed.Load(), open.count())
	}
	if _, refused := open.admit(accept(t)); refused != forTotal {
		t.Errorf("with nobody at rest: %q", refused)
	}
	if err := all[2].Close(); err == nil || open.count() != 4 {
		t.Errorf("one that was cut off is closed again: %v, %d are counted", err, open.count())
	}
}

func TestLimits_clients_are_told_apart(t *testing.T) {
	limits := Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for address, want := range map[string]string{
		"203.0.113.9":             "203.0.113.9",
		"::ffff:203.0.113.9":      "203.0.113.9",
		"2001:db8:0:1:2:3:4:5":    "2001:db8:0:1::",
		"2001:db8:0:1:ffff::":     "2001:db8:0:1::",
		"fe80::1%eth0":            "fe80::",
		"10.1.2.3":                "invalid IP",
		"::ffff:10.1.2.3":         "invalid IP",
		"fd00::1":                 "invalid IP",
		"2001:db8:0:2::1":         "2001:db8:0:2::",
		"::1":                     "::",
		"0.0.0.0":                 "0.0.0.0",
		"2001:db8::203.0.113.200": "2001:db8::",
	} {
		if got := limits.clientOf(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s is counted as %s, want %s", address, got, want)
		}
	}
}
