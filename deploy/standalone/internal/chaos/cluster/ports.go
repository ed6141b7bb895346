package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports are below those that the kernel gives to outgoing connections, so
// that a server finds its port free when it starts again.
const (
	lowestPort  = 12_000
	highestPort = 30_000
)

// ports chooses n free ports of 127.0.0.1.
func ports(ctx context.Context, n int) ([]int, error) {
	var (
		out       []int
		listeners []net.Listener
	)
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // only its number was wanted
		}
	}()
	for tries := 0; len(out) < n; tries++ {
		if tries > 100*n {
			return nil, errors.New("no free ports")
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
		if err != nil {
			continue
		}
		listeners = append(listeners, l)
		out = append(out, port)
	}
	return out, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
