package figures

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

const (
	password = "a rather long passphrase 77"
	probed   = "/chaos/30s/x"
)

// clients call the gateways of a cluster.
type clients struct {
	*cluster.Cluster
	http *http.Client
}

func newClients(tb testing.TB, c *cluster.Cluster) *clients {
	tb.Helper()
	w := &clients{c, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	tb.Cleanup(w.http.CloseIdleConnections)
	return w
}

type tokens struct {
	Access string `json:"access_token"`
}

// request is one to a gateway; body is sent as JSON unless it is nil.
type request struct {
	method, url, token string
	body               any
}

// call gives the status, 0 if nothing came, and fills in out unless it is nil.
func (w *clients) call(ctx context.Context, r request, out any) (int, error) {
	data, err := json.Marshal(r.body)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	if r.body == nil {
		request.Body, request.ContentLength = http.NoBody, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(response.Body)
	if err == nil && out != nil {
		err = json.Unmarshal(text, out)
	}
	return response.StatusCode, err
}

// signIn makes an account and gives n of its sessions.
func (w *clients) signIn(tb testing.TB, n int) []string {
	tb.Helper()
	who := map[string]string{"email": fmt.Sprintf("u%d@example.com", time.Now().UnixNano()), "password": password}
	if status, err := w.call(tb.Context(), request{method: "POST", url: w.URLs[0] + "/auth/register", body: who}, nil); status != http.StatusAccepted {
		tb.Fatalf("register: %d %v", status, err)
	}
	out := make([]string, n)
	var group sync.WaitGroup
	for part := range 2 {
		group.Go(func() {
			for i := part; i < n; i += 2 {
				var t tokens
				if status, err := w.call(tb.Context(), request{method: "POST", url: w.URLs[i%len(w.URLs)] + "/auth/login", body: who}, &t); status != http.StatusOK || err != nil {
					tb.Errorf("sign in: %d %v", status, err)
					return
				}
				out[i] = t.Access
			}
		})
	}
	group.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
	return out
}

// accepted counts the gateways that accept a token.
func (w *clients) accepted(tb testing.TB, token string) int {
	tb.Helper()
	statuses := make([]int, len(w.URLs))
	var group sync.WaitGroup
	for i, at := range w.URLs {
		group.Go(func() {
			status, err := w.call(tb.Context(), request{method: "GET", url: at + probed, token: token}, nil)
			if err != nil {
				tb.Errorf("probe: %v", err)
			}
			statuses[i] = status
		})
	}
	group.Wait()
	n := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			n++
		}
	}
	return n
}

// age gives the view age of a gateway in seconds; false if it does not say.
func (w *clients) age(ctx context.Context, p *cluster.Process) (float64, bool) {
	return w.metric(ctx, p, "gatehouse_revocation_view_age_seconds")
}

// metric scrapes a metric without labels; false if the process does not say.
func (w *clients) metric(ctx context.Context, p *cluster.Process, name string) (float64, bool) {
	text, err := w.scrape(ctx, p)
	_, rest, found := strings.Cut(text, "\n"+name+" ")
	var value float64
	if err != nil || !found {
		return 0, false
	}
	_, err = fmt.Sscan(rest, &value)
	return value, err == nil
}
