package proxy

import (
	"net/http"
	"strings"
)

// hop reports whether a field is always for its own hop alone (RFC 9110 section
// 7.6.1).
func hop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropListed removes the fields which the lines of Connection name.
func dropListed(h http.Header, lines []string) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.Trim(name, " \t"))
		}
	}
}
