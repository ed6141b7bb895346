package embedded

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Bounds of the NATS server.
const (
	natsReadyTimeout = 10 * time.Second
	natsCloseTimeout = 10 * time.Second
	natsMaxMemory    = 64 << 20
	natsMaxStore     = 8 << 30
)

// NATS is a NATS server with JetStream in this process.
type NATS struct {
	server *server.Server
	once   sync.Once
	err    error
}

// StartNATS starts a server on 127.0.0.1 that keeps its streams in dir and
// syncs every message to disk before it acknowledges it. Port 0 takes a free
// one. It returns when the server takes connections.
func StartNATS(dir string, port int) (*NATS, error) {
	if dir == "" {
		return nil, errors.New("start NATS: a directory for its streams is needed")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	srv, err := server.NewServer(&server.Options{
		ServerName:         "gatehouse-embedded",
		Host:               "127.0.0.1",
		Port:               port,
		NoSigs:             true, // signals belong to the program
		NoLog:              true,
		JetStream:          true,
		StoreDir:           dir,
		SyncAlways:         true,
		JetStreamMaxMemory: natsMaxMemory,
		JetStreamMaxStore:  natsMaxStore,
	})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	n := &NATS{server: srv}
	go srv.Start()
	if !srv.ReadyForConnections(natsReadyTimeout) {
		return nil, errors.Join(fmt.Errorf("start NATS: not ready on port %d within %s", port, natsReadyTimeout), n.Close())
	}
	if !srv.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("start NATS: JetStream could not use %s", dir), n.Close())
	}
	return n, nil
}

// URL is the address for clients (NATS_URL).
func (n *NATS) URL() string { return n.server.ClientURL() }

// Close stops the server and waits for it, 10 s at most. It may be called
// again.
func (n *NATS) Close() error {
	n.once.Do(func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			n.server.Shutdown()
			n.server.WaitForShutdown()
		}()
		select {
		case <-done:
		case <-time.After(natsCloseTimeout):
			n.err = fmt.Errorf("stop NATS: still running after %s", natsCloseTimeout)
		}
	})
	return n.err
}
