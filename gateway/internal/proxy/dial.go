package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// leastTry is how long one of several addresses is tried at least, where there
// is time for that.
const leastTry = time.Second

// dial connects to host:port within the time of d. It is d's own DialContext
// for addresses, and for names that are none of ours.
func (n *Names) dial(asking context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || n == nil || n.host[host] == nil {
		return d.DialContext(asking, network, address) //nolint:wrapcheck // it says what was attempted
	}
	limit := time.Now().Add(d.Timeout)
	ctx, cancel := context.WithDeadline(asking, limit)
	defer cancel()
	addresses := n.order(host, time.Now())
	if addresses == nil {
		if err := n.lookup(ctx, host); err != nil {
			if !isOver(asking) { // else it says nothing of the name
				n.keep(host, err)
			}
			return nil, err
		}
		addresses = n.order(host, time.Now())
	}
	var first error
	for i, a := range addresses {
		began := time.Now()
		conn, err := dialShare(ctx, d, network, net.JoinHostPort(a.String(), port), len(addresses)-i)
		if err == nil {
			return conn, nil
		}
		if blames(asking, limit, time.Since(began), err) {
			n.refuse(host, a, time.Now())
		}
		if first == nil {
			first = err
		}
		if isOver(ctx) {
			break
		}
	}
	return nil, fmt.Errorf("connect to %s: %w", host, first)
}

// dialShare tries one of several addresses within its share of the time, which
// is leastTry at least, but leaves the others half of what there is.
func dialShare(ctx context.Context, d *net.Dialer, network, address string, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		rest := time.Until(deadline)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(rest/time.Duration(left), min(rest/2, leastTry)))
		defer cancel()
	}
	return d.DialContext(ctx, network, address) //nolint:wrapcheck // it says what was attempted
}

// blames reports whether a try that failed speaks against its address. It does
// not if whoever asks has gone away; nor if the address was silent for less
// than leastTry, and that was because whoever asks has less time than the limit.
func blames(asking context.Context, limit time.Time, took time.Duration, failed error) bool {
	if errors.Is(asking.Err(), context.Canceled) {
		return false
	}
	if silent, ok := errors.AsType[net.Error](failed); !ok || !silent.Timeout() {
		return true
	}
	deadline, limited := asking.Deadline()
	return took >= leastTry || !limited || !deadline.Before(limit)
}

// isOver reports whether nobody waits any more. That a deadline has passed may
// be noticed elsewhere before the context is told of it.
func isOver(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(deadline)
}
