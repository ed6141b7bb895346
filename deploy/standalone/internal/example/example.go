// Package example is a service behind the gateway that shows what a service
// behind the gateway receives: it answers every request with that request, as
// JSON. Paths that end in /stream and /socket answer with server-sent events
// and with a WebSocket instead, for as long as the caller stays. It decides
// nothing, keeps nothing, and refuses only what is larger than MaxBody.
package example

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// MaxBody is the size of the largest body that is answered, in bytes.
const MaxBody = 8 << 20

// Echo is a request as the service received it.
type Echo struct {
	Method   string              `json:"method"`
	Path     string              `json:"path"`      // byte for byte as it came
	RawQuery string              `json:"raw_query"` // likewise
	Headers  map[string][]string `json:"headers"`
	Body     string              `json:"body"`
}

// Handler answers every request with an Echo of it.
func Handler() http.Handler { return http.HandlerFunc(serve) }

// serve answers one request.
func serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, streamPath) && r.Method == http.MethodGet:
		stream(w, r)
	case strings.HasSuffix(r.URL.Path, socketPath):
		socket(w, r)
	default:
		echo(w, r)
	}
}

// echo answers with the request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "The body cannot be read.", status)
		return
	}
	// The request target and not r.URL, which has been parsed: what matters
	// here is what came over the wire.
	path, query, _ := strings.Cut(r.RequestURI, "?")
	headers := r.Header.Clone()
	headers.Set("Host", r.Host)
	answer, err := json.Marshal(Echo{
		Method: r.Method, Path: path, RawQuery: query, Headers: headers,
		Body: strings.ToValidUTF8(string(body), "\uFFFD"),
	})
	if err != nil {
		http.Error(w, "The request cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A caller that has gone away misses the answer, and nobody else does.
	_, _ = w.Write(answer)
}
