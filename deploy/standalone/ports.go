package main

import (
	"fmt"
	"net"
	"strconv"
)

// consecutive gives n addresses from addr on. For port 0 it looks for n free
// ports in a row, so that nodes on a test machine keep out of each other's way.
func consecutive(addr string, n int) ([]string, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("read port: %w", err)
	}
	if port == 0 {
		if port, err = freePorts(host, n); err != nil {
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
func freePorts(host string, n int) (int, error) {
	for range 100 {
		first, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		free := allFree(host, port+1, n-1)
		if err := first.Close(); err != nil {
			return 0, fmt.Errorf("give a port back: %w", err)
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("found no %d free ports in a row on %s", n, host)
}

func allFree(host string, port, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port+i)))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}
