package gatewayapp

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPipeline_SP16AClientThatGoesAwayEndsItsCall looks at it from the
// upstream: the call ends when the client has gone, whatever it spoke, while an
// answer is waited for, while it comes, and while a body is sent.
func TestPipeline_SP16AClientThatGoesAwayEndsItsCall(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		part := strings.Repeat("x", 16000)
		came, gone := make(chan struct{}, 1), make(chan string, 1)
		w.answersRaw(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/public/answering" {
				_, _ = io.WriteString(rw, "some")
				_ = http.NewResponseController(rw).Flush()
			}
			came <- struct{}{}
			if r.URL.Path == "/api/public/sending" {
				_, err := io.Copy(io.Discard, r.Body)
				gone <- fmt.Sprint(err != nil)
				return
			}
			<-r.Context().Done()
			gone <- "true"
		})
		for _, path := range []string{"/api/public/waiting", "/api/public/answering", "/api/public/sending"} {
			for protocol, send := range map[string]func() net.Conn{
				"HTTP/1.1": func() net.Conn {
					conn := w.dial(t)
					body := "\r\n"
					if path == "/api/public/sending" {
						body = "Content-Length: 500000\r\n\r\n" + part + part + part
					}
					_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: gw\r\n"+body)
					return conn
				},
				"HTTP/2": func() net.Conn {
					client := w.h2(t)
					client.ask(1, path != "/api/public/sending", ":method: POST", ":path: "+path)
					if path == "/api/public/sending" {
						for range 3 {
							client.ok(client.WriteData(1, false, []byte(part)))
						}
					}
					return client.conn
				},
			} {
				conn := send()
				select {
				case <-came:
				case <-time.After(10 * time.Second):
					t.Fatalf("%s %s: no call came", protocol, path)
				}
				_ = conn.Close()
				select {
				case got := <-gone:
					if got != "true" {
						t.Errorf("%s %s: the body looks whole", protocol, path)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("%s %s: the call goes on", protocol, path)
				}
			}
		}
		w.until("all connections are counted out", func() bool { return w.app.server.Connections() == 0 })
	})
}
