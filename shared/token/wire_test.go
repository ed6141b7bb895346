package token_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// issuers is the issuer's end of the wire: what each replica answers, and how
// often it was asked.
type issuers struct {
	mu     sync.Mutex
	answer map[string]func(*http.Request) (status int, body string, err error)
	asked  atomic.Int64
}

func (i *issuers) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked.Add(1)
	i.mu.Lock()
	answer := i.answer[r.URL.Host]
	i.mu.Unlock()
	status, body, err := answer(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Location": {"http://evil.test/keys"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func (i *issuers) set(host string, answer func(*http.Request) (int, string, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.answer == nil {
		i.answer = map[string]func(*http.Request) (int, string, error){}
	}
	i.answer[host] = answer
}

func gives(issuer *tokentest.Issuer) func(*http.Request) (int, string, error) {
	return func(*http.Request) (int, string, error) { return http.StatusOK, string(issuer.JWKS()), nil }
}

func says(status int, body string) func(*http.Request) (int, string, error) {
	return func(*http.Request) (int, string, error) { return status, body, nil }
}

func refused(*http.Request) (int, string, error) { return 0, "", errors.New("connection refused") }

// hangs answers when the caller has given up.
func hangs(r *http.Request) (int, string, error) {
	<-r.Context().Done()
	return 0, "", r.Context().Err()
}

func newRemote(i *issuers, hosts ...string) *token.RemoteKeys {
	c := token.RemoteKeysConfig{Client: &http.Client{
		Transport:     i,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, Now: time.Now}
	for _, host := range hosts {
		c.URLs = append(c.URLs, "http://"+host+"/.well-known/jwks.json")
	}
	return token.NewRemoteKeys(c)
}

// running starts Run in the bubble and returns what stops it.
func running(t *testing.T, keys *token.RemoteKeys) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- keys.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// endless is a body without end, which notes how much of it was read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	if e.read > 1<<24 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (e *endless) Close() error { return nil }

// roundTrip answers requests by a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func kidsOf(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("garbage-", i)
	}
	return out
}
