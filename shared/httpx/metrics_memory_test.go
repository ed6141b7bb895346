package httpx

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
)

// A method is a part of the head that it came in, with the token of whoever was
// the first to use it, and labels stay for ever.
func TestMetrics_hold_no_part_of_a_request(t *testing.T) {
	for _, method := range []string{"GET", "DELETE", "TRACE", "BREW"} {
		m := newMetrics(prometheus.NewRegistry(), "test")
		head := strings.Clone(method + " / HTTP/1.1\r\nAuthorization: Bearer secret\r\n")
		m.begin()
		m.done(head[:len(method)], &record{writer: writer{status: 200}}, time.Millisecond)
		if len(m.known) != 1 {
			t.Fatalf("%s: %v", method, m.known)
		}
		for l := range m.known {
			if unsafe.StringData(l.method) == unsafe.StringData(head) {
				t.Errorf("%s: the label keeps the head", method)
			}
		}
	}
}
