package proxy

import (
	"net/http"
	"strings"

	"gatehouse.internal/shared/fault"
)

// Pseudonym makes the name under which a gateway node appears in Via (RFC 9110
// section 7.6.3) from the node's id.
func Pseudonym(node string) string {
	return "gatehouse-" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-'
	}, node)
}

var errLoop = fault.New(fault.UpstreamError, "The request has come back to this gateway: the service behind the route points to the gateway itself.")

// looped reports whether a request has passed this node before.
func looped(h http.Header, pseudonym string) bool {
	for _, line := range h["Via"] {
		for element := range strings.SplitSeq(line, ",") {
			fields := strings.Fields(element)
			if len(fields) > 1 && fields[1] == pseudonym {
				return true
			}
		}
	}
	return false
}

// protocol is the received protocol as Via names it.
func protocol(r *http.Request) string {
	switch {
	case r.ProtoMajor >= 2:
		return "2"
	case r.ProtoMinor == 0:
		return "1.0"
	}
	return "1.1"
}
