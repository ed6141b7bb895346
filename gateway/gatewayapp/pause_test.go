package gatewayapp

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

// TestPipeline_AClientThatPauses has an upstream see the head of a request and
// what has come of its body while the client says nothing, over h1 and over
// net/http's transport; and a time-out of the whole hold for such a client.
func TestPipeline_AClientThatPauses(t *testing.T) {
	heard := make(chan string, 1)
	listen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		some := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, some)
		heard <- string(some)
		rest, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = w.Write(slices.Concat(some, rest))
		}
	})
	plain, secure := httptest.NewServer(listen), httptest.NewTLSServer(listen)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	dir := t.TempDir()
	trust, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "routes.yaml")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	routes := strings.NewReplacer("PLAIN", plain.URL, "SECURE", secure.URL, "TRUST", trust).Replace(`
upstreams:
  plain: { targets: ["PLAIN"] }
  secure: { targets: ["SECURE"], tls: { ca: "TRUST", server_name: example.com } }
routes:
  - { name: plain, match: { path: /plain }, upstream: plain, auth: none }
  - { name: secure, match: { path: /secure }, upstream: secure, auth: none }
  - { name: plain-limited, match: { path: /plain/limited }, upstream: plain, auth: none, total_timeout: 300ms }
  - { name: secure-limited, match: { path: /secure/limited }, upstream: secure, auth: none, total_timeout: 300ms }
`)
	for name, text := range map[string][]byte{trust: certificate, file: []byte(routes)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(c *Config) { c.Routes = append(c.Routes, file) })
	body := bytes.Repeat([]byte("b"), 20<<10)
	for _, path := range []string{"/plain", "/secure"} {
		for _, length := range []string{"100", "20000"} { // sent with the head, or apart from it
			t.Run(path+" "+length, func(t *testing.T) {
				conn, in := w.raw("POST " + path + " HTTP/1.1\r\nHost: gw\r\nContent-Length: " + length + "\r\n\r\nfirst")
				select {
				case got := <-heard:
					if got != "first" {
						t.Errorf("the upstream heard %q", got)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("the upstream heard nothing")
				}
				n := map[string]int{"100": 95, "20000": 19995}[length]
				if _, err := conn.Write(body[:n]); err != nil {
					t.Fatal(err)
				}
				res, text := readAnswer(t, in)
				if res.StatusCode != 200 || text != "first"+string(body[:n]) {
					t.Errorf("%d, %d bytes", res.StatusCode, len(text))
				}
			})
			t.Run(path+" limited "+length, func(t *testing.T) {
				_, in := w.raw("POST " + path + "/limited HTTP/1.1\r\nHost: gw\r\nContent-Length: " + length + "\r\n\r\nfirst")
				if got := <-heard; got != "first" {
					t.Errorf("the upstream heard %q", got)
				}
				res, text := readAnswer(t, in)
				wantProblem(t, res, text, 504, fault.UpstreamTimeout)
			})
		}
	}
}
