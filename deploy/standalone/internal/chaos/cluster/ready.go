package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Await waits until every service says that it is ready, at most for a minute.
func (c *Cluster) Await(ctx context.Context) error {
	_, err := c.AwaitLast(ctx)
	return err
}

// AwaitLast is Await, and says which service took longest and what it said last
// before it was ready.
func (c *Cluster) AwaitLast(ctx context.Context) (last string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.awaitRedis(ctx); err != nil {
		return "", err
	}
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		errs  []error
	)
	began := time.Now()
	for name, address := range c.ready {
		group.Go(func() {
			var said error
			err := until(ctx, name+" is ready", func() error {
				err := c.get(ctx, address)
				if err != nil {
					said = err
				}
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			last = fmt.Sprintf("%s after %v: %v", name, time.Since(began).Round(time.Millisecond), said)
		})
	}
	group.Wait()
	return last, errors.Join(errs...)
}

// AwaitReady waits until one service is ready.
func (c *Cluster) AwaitReady(ctx context.Context, p *Process) error {
	return until(ctx, p.Name+" is ready", func() error { return c.get(ctx, c.ready[p.Name]) })
}

func (c *Cluster) get(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return err
}

// until repeats try until it gives no error or ctx ends.
func until(ctx context.Context, what string, try func() error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w: %w", what, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
