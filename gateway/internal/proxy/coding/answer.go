package coding

import (
	"net/http"
	"strconv"
	"strings"
)

// leastSize is the size from which it is worth the while: what is smaller fits
// into a packet or two anyway.
const leastSize = 1 << 10

// Fits reports whether an answer to a request with the given header, in which
// no part was asked for, may be encoded. It may not if it is a part all the
// same, is encoded already, says
// something about its very bytes, or somebody wants nothing changed on the way
// (no-transform, RFC 9111 sections 5.2.1.6 and 5.2.2.6); nor if it is small, or
// of a kind that does not get smaller, or a stream of events or calls.
func Fits(asked http.Header, res *http.Response) bool {
	switch {
	case res.StatusCode < 200, res.StatusCode == http.StatusNoContent, res.StatusCode == http.StatusPartialContent, res.StatusCode == http.StatusNotModified:
		return false
	case has(asked["Cache-Control"], "no-transform"), has(res.Header["Cache-Control"], "no-transform"):
		return false
	}
	for _, name := range [...]string{"Content-Encoding", "Content-Range", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Signature-Input"} {
		if _, is := res.Header[name]; is {
			return false
		}
		if _, announced := res.Trailer[name]; announced {
			return false
		}
	}
	types, lengths := res.Header["Content-Type"], res.Header["Content-Length"]
	if len(types) != 1 || !shrinks(types[0]) {
		return false
	}
	if len(lengths) == 0 {
		return true
	}
	length, err := strconv.ParseInt(lengths[0], 10, 64)
	return err == nil && length >= leastSize
}

// shrinks reports whether content of a type gets smaller, and is no stream that
// must move piece by piece.
func shrinks(contentType string) bool {
	base, _, _ := strings.Cut(contentType, ";")
	base = strings.ToLower(strings.Trim(base, " \t"))
	switch base {
	case "text/event-stream":
		return false
	case "application/json", "application/javascript", "application/xml", "application/x-ndjson", "application/wasm", "application/x-javascript",
		"image/svg+xml", "image/bmp", "font/ttf", "font/otf", "application/vnd.ms-fontobject":
		return true
	}
	return strings.HasPrefix(base, "text/") || !strings.HasPrefix(base, "application/grpc") && (strings.HasSuffix(base, "+json") || strings.HasSuffix(base, "+xml"))
}

// has reports whether a list has a directive without a value.
func has(lines []string, directive string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), directive) {
				return true
			}
		}
	}
	return false
}

// Vary tells caches that an answer depends on what codings a client takes.
func Vary(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"][:len(h["Vary"]):len(h["Vary"])], "Accept-Encoding")
}

// Announce makes the header of an answer that of the encoded one, of which no
// parts can be had.
func Announce(h http.Header, name string) {
	h["Content-Encoding"] = []string{name}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
}
