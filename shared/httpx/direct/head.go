package direct

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/httpx/framing"
)

// head says the start line and the fields of the final answer, but for those
// that depend on its body.
func (a *answer) head() {
	out := statusLine(a.room(), a.status)
	a.length = -1
	dated, encoded := false, false
	for name, values := range a.header {
		switch name {
		case "Content-Length":
			a.length = length(values)
			continue
		case "Transfer-Encoding":
			continue // ours to say
		case "Date":
			dated = true
		case "Content-Type":
			a.typed = true
		case "Content-Encoding":
			encoded = encoded || len(values) > 0 && values[0] != ""
		case "Trailer":
			a.announce(values)
		case "Connection":
			a.close = a.close || closes(values)
			a.options = values
			continue // said with the framing
		}
		out = appendField(out, name, values)
	}
	a.typed = a.typed || encoded
	if !dated {
		out = append(append(append(out, "Date: "...), a.conn.server.date()...), "\r\n"...)
	}
	a.conn.out = out
}

// frame completes the head with what frames the body (RFC 9112 section 6), and
// says whether the connection goes on. first is the beginning of the body, as
// far as it is known.
func (a *answer) frame(first []byte) {
	a.framed = true
	a.settle()
	out := a.conn.out
	if a.close {
		out = append(out, "Connection: close\r\n"...)
	} else {
		out = appendField(out, "Connection", a.options)
	}
	if a.bodyAllowed() && !a.typed && len(first) > 0 {
		out = append(append(append(out, "Content-Type: "...), http.DetectContentType(first)...), "\r\n"...)
	}
	switch {
	case a.length >= 0 && (a.bodyAllowed() || a.status == http.StatusNotModified):
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), a.length, 10), "\r\n"...)
	case a.length < 0 && a.bodyAllowed() && a.method != http.MethodHead:
		a.chunked = true
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	out = append(out, "\r\n"...)
	a.conn.out = out
}

// settle sees to what the handler has left of the request's body, before the
// answer: many clients read nothing before they have sent all. If that is too
// much, or does not come, the connection ends.
func (a *answer) settle() {
	if a.upload != nil && !a.duplex && !a.close && !a.upload.over() && !a.upload.drop() {
		a.close = true
	}
}

// interim sends an interim answer (RFC 9110 section 15.2).
func (a *answer) interim(status int) {
	out := statusLine(a.room(), status)
	for name, values := range a.header {
		if name != "Content-Length" && name != "Transfer-Encoding" {
			out = appendField(out, name, values)
		}
	}
	out = append(out, "\r\n"...)
	a.conn.out = out
	_ = a.flush() // the final answer will find out
}

// announce notes the fields that will come behind the body (RFC 9110 section
// 6.6.2).
func (a *answer) announce(values []string) {
	for _, line := range values {
		for name := range strings.SplitSeq(line, ",") {
			if name = framing.Canonical(strings.Trim(name, " \t")); name != "" {
				a.trailers = append(a.trailers, name)
			}
		}
	}
}

// hasTrailers reports whether fields are to come behind the body.
func (a *answer) hasTrailers() bool {
	for name := range a.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return len(a.trailers) > 0
}

// trail ends a chunked body with its trailer fields.
func (a *answer) trail() {
	out := a.conn.out
	out = append(out, "0\r\n"...)
	for name, values := range a.header {
		said, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if (prefixed || slices.Contains(a.trailers, name)) && mayTrail(said) {
			out = appendField(out, said, values)
		}
	}
	out = append(out, "\r\n"...)
	a.conn.out = out
}

// mayTrail reports whether a field may stand behind the body (RFC 9110 section
// 6.5.1).
func mayTrail(name string) bool {
	switch framing.Canonical(name) {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Host":
		return false
	}
	return true
}

// appendField appends the lines of a field, if its name is one. What would end
// a line early becomes a space.
func appendField(out []byte, name string, values []string) []byte {
	if name == "" || !isFieldName(name) {
		return out
	}
	for _, value := range values {
		out = append(append(append(append(out, name...), ": "...), safeValue(value)...), "\r\n"...)
	}
	return out
}

func statusLine(out []byte, status int) []byte {
	if status == http.StatusOK {
		return append(out, "HTTP/1.1 200 OK\r\n"...)
	}
	out = append(strconv.AppendInt(append(out, "HTTP/1.1 "...), int64(status), 10), ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	return append(append(out, text...), "\r\n"...)
}

// length reads a Content-Length; -1 if it is none.
func length(values []string) int64 {
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// closes reports whether the lines of Connection say close.
func closes(values []string) bool {
	for _, line := range values {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(option, " \t"), "close") {
				return true
			}
		}
	}
	return false
}

// date is a text of a second.
type date struct {
	second int64
	text   string
}

// dates gives the Date of answers (RFC 9110 section 6.6.1), of which many are
// of the same second.
type dates struct{ last atomic.Pointer[date] }

func (d *dates) at(now time.Time) string {
	second := now.Unix()
	last := d.last.Load()
	if last == nil || last.second != second {
		last = &date{second, now.UTC().Format(http.TimeFormat)}
		d.last.Store(last)
	}
	return last.text
}
