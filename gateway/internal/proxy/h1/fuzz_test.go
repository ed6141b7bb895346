package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzParseHead holds the parser to net/http's: what ours takes, net/http takes
// and reads the same way. And it holds Scan to the same result however the
// bytes come.
func FuzzParseHead(f *testing.F) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.0 404\r\nconnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: a\r\nX: b\r\n\r\n",
		"HTTP/1.1 204 \r\nX:\t y \t\r\nx-y_z: \xff\r\n\r\n", "HTTP/1.1 200 OK\nX: y\n\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(head), uint8(3))
	}
	f.Fuzz(func(t *testing.T, p []byte, step uint8) {
		if len(p) > 64<<10 {
			return // a call takes no more
		}
		var scan Scan
		length, scanErr := scan.End(p)
		checkScan(t, p, int(step)+1, length, scanErr)
		if scanErr != nil || length == 0 {
			return
		}
		h, err := ParseHead(p[:length])
		if err != nil {
			return
		}
		if h.Chunked && h.Length >= 0 || h.Status < 100 || h.Status > 999 {
			t.Fatalf("%q has status %d, length %d, chunked %v", p, h.Status, h.Length, h.Chunked)
		}
		r := &http.Request{Method: http.MethodHead} // so that nothing depends on a body
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p[:length])), r)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "bad trailer key") {
				t.Fatalf("net/http refuses %q: %v", p[:length], err)
			}
			return // it refuses a trailer of framing; we drop that
		}
		defer func() { _ = theirs.Body.Close() }()
		compareHeads(t, h, theirs)
	})
}

// checkScan looks for the end of the head step by step.
func checkScan(t *testing.T, p []byte, step, length int, scanErr error) {
	t.Helper()
	var scan Scan
	for n := 0; ; n = min(n+step, len(p)) {
		got, err := scan.End(p[:n])
		if got != 0 || err != nil {
			if got != length || (err == nil) != (scanErr == nil) {
				t.Fatalf("%q by %d: %d %v, at once %d %v", p, step, got, err, length, scanErr)
			}
			return
		}
		if n == len(p) {
			break
		}
	}
	if length != 0 || scanErr != nil {
		t.Fatalf("%q by %d: nothing, at once %d %v", p, step, length, scanErr)
	}
}

func compareHeads(t *testing.T, h Head, theirs *http.Response) {
	t.Helper()
	if h.Status != theirs.StatusCode || theirs.ProtoMajor != 1 || h.Minor != theirs.ProtoMinor {
		t.Fatalf("status %d, HTTP/1.%d; net/http reads %d, %s", h.Status, h.Minor, theirs.StatusCode, theirs.Proto)
	}
	if theirs.ContentLength != h.Length && h.Status >= 200 && h.Status != http.StatusNoContent {
		t.Fatalf("length %d; net/http reads %d", h.Length, theirs.ContentLength)
	}
	for name, values := range h.Header {
		if name == "Trailer" || name == "Connection" || name == "Content-Length" {
			continue // net/http takes these out of the header now and then
		}
		if !slices.Equal(values, theirs.Header[name]) {
			t.Fatalf("%s: %q; net/http reads %q", name, values, theirs.Header[name])
		}
	}
	for name := range theirs.Header {
		if _, has := h.Header[name]; !has {
			t.Fatalf("net/http also reads %s: %q", name, theirs.Header[name])
		}
	}
}

// FuzzChunked holds the reading of chunks to net/http's: a body that is whole
// to us is whole to net/http, with the same bytes and the same rest. And it is
// read the same way however the bytes come.
func FuzzChunked(f *testing.F) {
	for _, body := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nrest", "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", "000A \r\n0123456789\r\n0\r\n\r\n", "5\nhello\n0\n\n", "-1\r\n", "FFFFFFFFFFFFFFFF\r\n",
		"1\r\na\r\n1\r\nb\r\n0;x\r\nContent-Length: 4\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "5 5\r\nhello\r\n0\r\n\r\n", "0 ;\r\n\r\n", "0 \t\r\n\r\n",
	} {
		f.Add([]byte(body), uint8(3))
	}
	f.Fuzz(func(t *testing.T, p []byte, step uint8) {
		if len(p) > 64<<10 {
			return
		}
		ours, rest, err := readChunked(p, len(p)+1)
		stepwise, restStepwise, errStepwise := readChunked(p, int(step)+1)
		if !bytes.Equal(ours, stepwise) || (err == nil) != (errStepwise == nil) || err == nil && rest != restStepwise {
			t.Fatalf("%q by %d: %q %v, at once %q %v", p, step, stepwise, errStepwise, ours, err)
		}
		if err != nil {
			return
		}
		in := bufio.NewReader(io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), bytes.NewReader(p)))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := io.ReadAll(res.Body)
		if err != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("%q is %q; net/http reads %q, %v", p, ours, theirs, err)
		}
		left, _ := io.ReadAll(in)
		if len(left) != rest {
			t.Fatalf("%q leaves %d bytes; with net/http %d", p, rest, len(left))
		}
	})
}

// readChunked reads a body that comes in pieces, and tells how much is left of
// what came.
func readChunked(p []byte, step int) (body []byte, rest int, err error) {
	src := bytes.NewReader(p)
	b := new(bodyOfAnswer)
	b.in = &reader{src: stepReader{src, step}, buf: lend()}
	defer giveBack(b.in.buf)
	b.kind, b.res = chunked, &http.Response{}
	for {
		piece, err := b.next(7, nil)
		body = append(body, piece...)
		if errors.Is(err, io.EOF) {
			return body, b.in.buffered() + src.Len(), nil
		}
		if err != nil {
			return body, 0, err
		}
	}
}

type bodyOfAnswer = body // the name is taken in readChunked

type stepReader struct {
	io.Reader
	step int
}

func (s stepReader) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), s.step)]) }
