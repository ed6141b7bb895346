package gatewayapp

import (
	"io"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/net/http2"
)

// An answer that says nothing of its type goes out without one: who guesses
// HTML from the bytes that a stranger has stored makes a page of them, on the
// gateway's own origin.
func TestPipeline_TheTypeOfAnAnswerIsNotGuessed(t *testing.T) {
	w := newWorld(t, nil)
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header()["Content-Type"] = nil
		if r.URL.RawQuery == "late" {
			_ = http.NewResponseController(rw).Flush()
		}
		_, _ = io.WriteString(rw, "<html><script>alert(1)</script>")
	})
	for _, query := range []string{"", "?late"} {
		for _, method := range []string{"GET", "HEAD", "POST"} { // one with a body is net/http's to read
			res, _ := w.do(method, "/api/public/x"+query)
			if types, has := res.Header["Content-Type"]; has || res.StatusCode != http.StatusOK {
				t.Errorf("%s%s: %d, of type %q", method, query, res.StatusCode, types)
			}
		}
		res, _ := w.send("POST", "/api/public/x"+query, io.MultiReader(io.LimitReader(zeros{}, 5)))
		if types, has := res.Header["Content-Type"]; has {
			t.Errorf("POST of chunks%s: of type %q", query, types)
		}
		client := w.h2(t)
		client.ask(1, true, ":path: /api/public/x"+query)
		if names := client.answerFields(1); slices.Contains(names, "content-type") {
			t.Errorf("HTTP/2%s: %v", query, names)
		}
	}
}

// answerFields gives the names of the fields of the answer on a stream.
func (c *h2) answerFields(stream uint32) (names []string) {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.StreamID == stream {
			for _, field := range f.RegularFields() {
				names = append(names, field.Name)
			}
			return names
		}
	}
}

// zeros are endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
