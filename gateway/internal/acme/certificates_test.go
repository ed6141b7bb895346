package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestRun_anAuthorityThatHangs has handshakes refused at once, and Run end when
// it is told to, while a request to the authority gets no answer.
func TestRun_anAuthorityThatHangs(t *testing.T) {
	asked := make(chan struct{}, 1)
	authority := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer authority.Close()
	c := New(Options{Hosts: []string{"api.gatehouse.test"}, Directory: authority.URL, Cache: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	<-asked
	for _, hello := range []*tls.ClientHelloInfo{
		{ServerName: "api.gatehouse.test"}, {}, {ServerName: "other.test"}, {ServerName: "other.test", SupportedProtos: []string{Protocol}},
		{ServerName: "../api.gatehouse.test", SupportedProtos: []string{Protocol}},
	} {
		if cert, err := c.Get(hello); err == nil {
			t.Errorf("%q: %v", hello.ServerName, cert)
		}
	}
	if !c.Expiry().IsZero() {
		t.Errorf("no certificate expires at %v", c.Expiry())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestRun_aRefusalIsToldWithoutTheAddress has the log say why there is no
// certificate, and not who was asked for.
func TestRun_aRefusalIsToldWithoutTheAddress(t *testing.T) {
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"type":"urn:ietf:params:acme:error:invalidContact","detail":"operator@example.com is not served"}`))
	}))
	defer authority.Close()
	out := &output{told: make(chan struct{})}
	c := New(Options{
		Hosts: []string{"api.gatehouse.test"}, Email: "operator@example.com", Directory: authority.URL, Cache: t.TempDir(),
		Log: slog.New(slog.NewJSONHandler(out, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	<-out.told
	cancel()
	<-done
	if text := out.text.String(); !strings.Contains(text, "is not served") || strings.Contains(text, "operator@example.com") || !strings.Contains(text, "api.gatehouse.test") {
		t.Errorf("the log says %s", text)
	}
}

// output is where a log goes; told is closed with its first record.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	told chan struct{}
	once sync.Once
}

// Write takes a record.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.once.Do(func() { close(o.told) })
	return o.text.Write(p)
}
