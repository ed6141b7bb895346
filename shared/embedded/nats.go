package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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
	} else if err := free(port); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	return startNATS(&server.Options{
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
}

// StartNATSWith starts a server with the settings of a configuration file, but
// on a free port of 127.0.0.1 and with its streams in dir. Tests use it to see
// that the file gives each service what it needs and no more.
func StartNATSWith(configFile, dir string) (*NATS, error) {
	options, err := server.ProcessConfigFile(configFile)
	if err != nil {
		return nil, fmt.Errorf("start NATS: read %s: %w", configFile, err)
	}
	options.Host, options.Port, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT, 0
	options.StoreDir, options.NoSigs, options.NoLog = dir, true, true
	return startNATS(options)
}

// startNATS starts a server and waits until it takes connections.
func startNATS(options *server.Options) (*NATS, error) {
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	n := &NATS{server: srv}
	go srv.Start()
	if !srv.ReadyForConnections(natsReadyTimeout) {
		return nil, errors.Join(fmt.Errorf("start NATS: not ready on port %d within %s", options.Port, natsReadyTimeout), n.Close())
	}
	if !srv.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("start NATS: JetStream could not use %s", options.StoreDir), n.Close())
	}
	return n, nil
}

// free tells why a port cannot be had. The server itself would say so only in
// its log.
func free(port int) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
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
