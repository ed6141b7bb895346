package proxy

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"gatehouse.internal/gateway/internal/proxy/coding"
)

var document = strings.Repeat(`{"id":1,"name":"a thing like many others"},`, 200)

func compressed(c *Call) { c.Compress = coding.Names() }

// askFor asks for a path with a method and fields, in HTTP/1.1.
func (f *front) askFor(t *testing.T, method, path string, fields ...string) *http.Response {
	t.Helper()
	_, in := f.raw(t, method+" "+path+" HTTP/1.1\r\nHost: gw\r\n"+strings.Join(append(fields, ""), "\r\n")+"\r\n")
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func unzip(t *testing.T, from io.Reader) string {
	t.Helper()
	r, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(text), err)
	}
	return string(text)
}

// upDocument answers with the document, as the query wants it.
func upDocument(w http.ResponseWriter, r *http.Request) {
	h, q := w.Header(), r.URL.Query()
	h.Set("Content-Type", "application/json")
	h.Set("ETag", `"v1"`)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Vary", "Origin")
	if q.Has("trailer") {
		h.Set("Trailer", "X-After")
		defer h.Set("X-After", "yes")
	} else if !q.Has("chunked") {
		h.Set("Content-Length", strconv.Itoa(len(document)))
	}
	if status, err := strconv.Atoi(q.Get("status")); err == nil {
		h.Del("Content-Length")
		w.WriteHeader(status)
		return
	}
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, document)
	}
}

func TestServe_Compress(t *testing.T) {
	up := newRecorder(t, upDocument)
	f := newFront(t, up.URL).calls(compressed)
	for _, path := range []string{"/a", "/a?chunked", "/a?trailer"} {
		res := f.askFor(t, "GET", path, "Accept-Encoding: gzip", "Connection: close")
		h := res.Header
		if h.Get("Content-Encoding") != "gzip" || h.Get("ETag") != `W/"v1"` || h.Get("Content-Length") == strconv.Itoa(len(document)) || h.Get("Accept-Ranges") != "" ||
			fmt.Sprint(h["Vary"]) != "[Origin Accept-Encoding]" {
			t.Errorf("%s: %v", path, h)
		}
		if text := unzip(t, res.Body); text != document {
			t.Errorf("%s: %d bytes, want %d", path, len(text), len(document))
		}
		if _, _ = io.Copy(io.Discard, res.Body); path == "/a?trailer" && res.Trailer.Get("X-After") != "yes" {
			t.Errorf("trailer fields %v", res.Trailer)
		}
		if got := up.last(t).Header.Get("Accept-Encoding"); got != "gzip" {
			t.Errorf("the upstream was asked for %q", got)
		}
	}
	for _, c := range []struct {
		name, method, path string
		fields             []string
		coding, tag        string
		length             string
	}{
		{"HEAD", "HEAD", "/a", []string{"Accept-Encoding: gzip"}, "gzip", `W/"v1"`, ""},
		{"no coding that is known", "GET", "/a", []string{"Accept-Encoding: br"}, "", `"v1"`, strconv.Itoa(len(document))},
		{"no coding wanted", "GET", "/a", nil, "", `"v1"`, strconv.Itoa(len(document))},
		{"not modified, of an encoded answer", "GET", "/a?status=304", []string{"Accept-Encoding: gzip", `If-None-Match: W/"v1"`}, "", `W/"v1"`, ""},
		{"not modified, of a plain answer", "GET", "/a?status=304", []string{`If-None-Match: "v1"`}, "", `"v1"`, ""},
	} {
		h := f.askFor(t, c.method, c.path, append(c.fields, "Connection: close")...).Header
		if h.Get("Content-Encoding") != c.coding || h.Get("ETag") != c.tag || h.Get("Content-Length") != c.length || fmt.Sprint(h["Vary"]) != "[Origin Accept-Encoding]" {
			t.Errorf("%s: %v", c.name, h)
		}
	}
	f.calls(nil)
	if h := f.askFor(t, "GET", "/a", "Accept-Encoding: gzip", "Connection: close").Header; h.Get("Content-Encoding") != "" || fmt.Sprint(h["Vary"]) != "[Origin]" {
		t.Errorf("a route that says nothing: %v", h)
	}
}

func TestServe_CompressIsNotForHTTP10(t *testing.T) {
	f := newFront(t, newRecorder(t, upDocument).URL).calls(compressed)
	res, body := f.ask(t, "GET /a HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
	if res.Header.Get("Content-Encoding") != "" || body != document {
		t.Errorf("%v", res.Header)
	}
}

// TestServe_CompressDoesNotHoldBack has each piece of a stream come to the
// client before the next one is made, encoded or, for events, as it is.
func TestServe_CompressDoesNotHoldBack(t *testing.T) {
	for _, kind := range []string{"application/x-ndjson", "text/event-stream"} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(kind+" "+protocol, func(t *testing.T) {
				next := make(chan struct{})
				up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", kind)
					for i := range 3 {
						fmt.Fprintf(w, "piece %d\n", i)
						_ = http.NewResponseController(w).Flush()
						select {
						case <-next:
						case <-r.Context().Done():
							return
						}
					}
				})
				f := newFront(t, up.URL).calls(compressed)
				client := &http.Client{Transport: &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}}
				client.Transport.(*http.Transport).Protocols.SetHTTP1(protocol == "HTTP/1.1")
				client.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2")
				defer client.CloseIdleConnections()
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+"/a", http.NoBody)
				req.Header.Set("Accept-Encoding", "gzip")
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				var body io.Reader = res.Body
				encoded := res.Header.Get("Content-Encoding") == "gzip"
				if encoded != (kind != "text/event-stream") {
					t.Errorf("%v", res.Header)
				}
				if encoded {
					if body, err = gzip.NewReader(res.Body); err != nil {
						t.Fatal(err)
					}
				}
				in := bufio.NewReader(body)
				for i := range 3 {
					if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("piece %d\n", i) {
						t.Fatalf("%q, %v", line, err)
					}
					next <- struct{}{}
				}
				if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
					t.Errorf("%q, %v", rest, err)
				}
			})
		}
	}
}

// TestServe_CompressedAndCutOff has an answer that the upstream breaks off look
// broken off, and its encoder serve others.
func TestServe_CompressedAndCutOff(t *testing.T) {
	up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, document)
		if r.URL.Path == "/cut" {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	f := newFront(t, up.URL).calls(compressed)
	for range coding.MaxEncoders + 1 {
		res := f.askFor(t, "GET", "/cut", "Accept-Encoding: zstd", "Connection: close")
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Fatal("it looks whole")
		}
	}
	eventually(t, "an encoder is free", func() bool {
		return f.askFor(t, "GET", "/whole", "Accept-Encoding: zstd", "Connection: close").Header.Get("Content-Encoding") == "zstd"
	})
}

// TestServe_CompressOnlyWhatThereIsRoomFor sends an answer as it is when every
// encoder is in use.
func TestServe_CompressOnlyWhatThereIsRoomFor(t *testing.T) {
	encoders := coding.NewEncoders()
	f := tunedFront(t, Options{Encoders: encoders}, newRecorder(t, upDocument).URL).calls(compressed)
	for range coding.MaxEncoders {
		enc, err := encoders.Lend(coding.Gzip, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.End()
	}
	res := f.askFor(t, "GET", "/a", "Accept-Encoding: gzip", "Connection: close")
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != document || res.Header.Get("ETag") != `"v1"` || fmt.Sprint(res.Header["Vary"]) != "[Origin Accept-Encoding]" {
		t.Errorf("%v, %v", res.Header, err)
	}
}
