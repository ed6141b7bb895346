package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// consecutive gives n addresses from addr on. For port 0 it looks for n free
// ports in a row, so that nodes on a test machine keep out of each other's way.
func consecutive(ctx context.Context, addr string, n int) ([]string, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("read port: %w", err)
	}
	if port == 0 {
		if port, err = freePorts(ctx, host, n); err != nil {
			return nil, err
		}
	}
	out := make([]string, n)
	for i := range out {
		out[i] = net.JoinHostPort(host, strconv.Itoa(port+i))
	}
	return out, nil
}

// freePorts finds the first of n free ports in a row.
func freePorts(ctx context.Context, host string, n int) (int, error) {
	for range 100 {
		port, err := takePort(ctx, host, 0)
		if err != nil {
			return 0, err
		}
		free := true
		for i := 1; i < n && free; i++ {
			_, err := takePort(ctx, host, port+i)
			free = err == nil
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("found no %d free ports in a row on %s", n, host)
}

// takePort listens on a port, gives it back at once, and tells which it was.
func takePort(ctx context.Context, host string, port int) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		return 0, fmt.Errorf("give a port back: %w", err)
	}
	return strconv.Atoi(text)
}
