package httpx

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// refusalHeaders follow the status line of every answer that net/http gives by
// itself to a request which it cannot read (errorHeaders in its server.go). No
// handler's answer begins so: it has a Date, and its own fields come in order.
const refusalHeaders = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// maxRefusal bounds what can be such an answer; they are all short.
const maxRefusal = 512

// refusal reports whether the bytes are a refusal by net/http itself, whose
// body says what its status line does, and gives what it has to say.
func refusal(p []byte) (status int, detail string, ok bool) {
	const version, digits = "HTTP/1.1 ", len("400")
	if len(p) > maxRefusal || len(p) < len(version)+digits || p[len(version)] < '4' || string(p[:len(version)]) != version {
		return 0, "", false
	}
	line, rest, _ := bytes.Cut(p[len(version):], []byte("\r\n"))
	body, ok := bytes.CutPrefix(rest, []byte(refusalHeaders))
	if !ok {
		return 0, "", false
	}
	status, err := strconv.Atoi(string(line[:min(digits, len(line))]))
	if err != nil || string(body) != string(line) && (status != http.StatusNotImplemented || string(body) != "Unsupported transfer encoding") {
		return 0, "", false
	}
	_, detail, _ = strings.Cut(string(line), ": ") // these texts are constants of net/http
	return status, detail, true
}

// refusalFor classifies a refusal by net/http's own rules.
func refusalFor(status int, detail string) *fault.Error {
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return fault.New(fault.HeadersTooLarge, "The header fields are too large.")
	case http.StatusNotImplemented:
		return fault.New(fault.UnsupportedTransferCoding, "The transfer coding is not supported.")
	case http.StatusHTTPVersionNotSupported:
		return fault.New(fault.UnsupportedVersion, "The version of HTTP is not supported.")
	}
	text := "The request cannot be read."
	if detail != "" {
		text = "The request cannot be read: " + detail + "."
	}
	return fault.New(fault.Malformed, text)
}

// refusalAnswer is the whole answer in bytes. The request id is one of its
// own, as what the request says cannot be believed.
func refusalAnswer(cause *fault.Error, https bool) []byte {
	p := ProblemFor(cause)
	p.RequestID = newID()
	body, _ := json.Marshal(p) // it has no Extra that could not be written
	header := http.Header{}
	header.Set("Content-Type", MediaTypeProblem)
	header.Set("Cache-Control", "no-store")
	header.Set("Connection", "close")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Set(contract.HeaderRequestID, p.RequestID)
	setRetry(header, p)
	secure(header, https, false)
	var out bytes.Buffer
	out.WriteString("HTTP/1.1 " + strconv.Itoa(p.Status) + " " + http.StatusText(p.Status) + "\r\n")
	_ = header.Write(&out) // a buffer takes everything
	out.WriteString("\r\n")
	out.Write(body)
	return out.Bytes()
}
