package httpx

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
)

// trace is the W3C trace context of a request: whose trace it belongs to, and
// the id of our own part (span) in it.
type trace struct {
	traceID, spanID string
	parent          string // the traceparent header for calls on behalf of the request
}

// newTrace continues the trace that the header names, or begins one. The ids are
// random, and no secret (W3C Trace Context section 3.2.2).
func newTrace(header http.Header) trace {
	var text [55]byte
	b := append(text[:0], "00-"...)
	traceID, flags, ok := "", "00", false
	if values := header["Traceparent"]; len(values) == 1 {
		traceID, flags, ok = parseTraceParent(values[0])
	}
	if ok {
		b = append(b, traceID...)
	} else {
		flags = "00"
		b = appendRandomHex(appendRandomHex(b))
	}
	b = appendRandomHex(append(b, '-'))
	parent := string(append(append(b, '-'), flags...))
	return trace{traceID: parent[3:35], spanID: parent[36:52], parent: parent}
}

// appendRandomHex appends 16 hexadecimal digits, not all of them zero.
func appendRandomHex(b []byte) []byte {
	const digits = "0123456789abcdef"
	n := rand.Uint64()
	for n == 0 {
		n = rand.Uint64()
	}
	for range 16 {
		b = append(b, digits[n>>60])
		n <<= 4
	}
	return b
}

// String gives the traceparent header for calls made on behalf of the request.
func (t trace) String() string { return t.parent }

// parseTraceParent reads "version-traceid-parentid-flags" in lower-case hex.
// A later version may be longer; the version ff and zero ids are invalid.
func parseTraceParent(text string) (traceID, flags string, ok bool) {
	if len(text) < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return "", "", false
	}
	version, traceID, parent, flags := text[:2], text[3:35], text[36:52], text[53:55]
	if !isHex(version) || !isHex(traceID) || !isHex(parent) || !isHex(flags) || version == "ff" {
		return "", "", false
	}
	if len(text) > 55 && (version == "00" || text[55] != '-') {
		return "", "", false
	}
	if isZero(traceID) || isZero(parent) {
		return "", "", false
	}
	if strings.IndexByte("13579bdf", flags[1]) >= 0 { // of the flags only "sampled", the lowest bit, is ours to pass on
		return traceID, "01", true
	}
	return traceID, "00", true
}

func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZero(text string) bool {
	for i := range len(text) {
		if text[i] != '0' {
			return false
		}
	}
	return true
}

// TraceParent gives the traceparent header to send with calls made on behalf
// of the request that ctx belongs to, and "" outside of a request.
func TraceParent(ctx context.Context) string {
	if rec := recordFrom(ctx); rec != nil {
		return rec.trace.String()
	}
	return ""
}

// TraceID gives the id of the trace that ctx belongs to, and "" outside of a
// request.
func TraceID(ctx context.Context) string {
	if rec := recordFrom(ctx); rec != nil {
		return rec.trace.traceID
	}
	return ""
}
