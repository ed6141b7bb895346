package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// newClient returns a client for key sets alone: few connections, bounded
// answers, no redirect, which would let an answer choose the source, and no
// proxy from the environment, which would let a variable choose it.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			MaxConnsPerHost:        2,
			MaxIdleConns:           4,
			IdleConnTimeout:        30 * time.Second,
			ResponseHeaderTimeout:  DefaultFetchTimeout,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetchAny asks the replicas in turn, first the one that answered last, until
// one gives a good set.
func (r *RemoteKeys) fetchAny(ctx context.Context) (*Set, error) {
	var problems []error
	n := uint64(len(r.config.URLs))
	if n == 0 {
		return nil, errors.New("no key set URL is configured")
	}
	for i := range n {
		at := (r.first.Load() + i) % n
		set, err := r.fetch(ctx, r.config.URLs[at], r.share(ctx, n-i))
		if err == nil {
			r.first.Store(at)
			return set, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

// share is how long one of the replicas that are left may take, so that one
// that hangs leaves time for the others.
func (r *RemoteKeys) share(ctx context.Context, left uint64) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(r.config.FetchTimeout, time.Until(deadline)/time.Duration(left))
	}
	return r.config.FetchTimeout
}

func (r *RemoteKeys) fetch(ctx context.Context, url string, limit time.Duration) (*Set, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for key set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for key set: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("key set at %s: status %d", req.URL.Redacted(), resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read key set at %s: %w", req.URL.Redacted(), err)
	}
	set, err := ParseSet(body)
	if err != nil {
		return nil, fmt.Errorf("key set at %s: %w", req.URL.Redacted(), err)
	}
	return set, nil
}
