package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gatehouse.internal/deploy/standalone/internal/example"
	"gatehouse.internal/deploy/standalone/internal/mailbox"
	"gatehouse.internal/shared/embedded"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
)

// around is what the services find around them: a broker, a Redis, a mail
// server, and a service of another team. All listen on loopback ports.
type around struct {
	nats   *embedded.NATS
	redis  *embedded.Redis
	sink   *mailbox.Sink
	letter *httpx.Server // GET /dev/mail
	echo   *httpx.Server
}

// openAround starts the broker on the folder's disk, and the others in memory.
func openAround(f folder, log *slog.Logger) (a *around, err error) {
	a = &around{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.nats, err = embedded.StartNATS(f.join("nats"), 0); err != nil {
		return nil, err
	}
	if a.redis, err = embedded.StartRedis(); err != nil {
		return nil, err
	}
	box := &mailbox.Mailbox{}
	if a.sink, err = mailbox.Listen("127.0.0.1:0", box, time.Now, log); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/dev/mail", box)
	if a.letter, err = httpx.Listen("mailbox", "127.0.0.1:0", mux, httpx.WithLog(log)); err != nil {
		return nil, err
	}
	a.echo, err = httpx.Listen("example upstream", "127.0.0.1:0", example.Handler(), httpx.WithLog(log))
	return a, err
}

// parts are those that must be run.
func (a *around) parts() []lifecycle.Part {
	return []lifecycle.Part{{Name: "mail sink", Run: a.sink.Run}, a.letter.Part(), a.echo.Part()}
}

// close stops the broker and Redis, and frees what was listened on.
func (a *around) close() error {
	var problems []error
	for _, server := range []*httpx.Server{a.letter, a.echo} {
		if server != nil {
			problems = append(problems, server.Close())
		}
	}
	if a.redis != nil {
		problems = append(problems, a.redis.Close())
	}
	if a.nats != nil {
		problems = append(problems, a.nats.Close())
	}
	return errors.Join(problems...)
}

// writeRoutes writes the example routes with this start's addresses.
func (a *around) writeRoutes(f folder) (path string, err error) {
	path = f.join("routes.yaml")
	text := "# Written at every start; routes of your own go into a file given by -routes.\n" +
		example.Routes("http://"+a.echo.Addr(), "http://"+a.letter.Addr())
	if err := writeDurably(path, []byte(text)); err != nil {
		return "", fmt.Errorf("write the example routes: %w", err)
	}
	return path, nil
}

// awaitReady asks every ops address until all parts behind it are ready.
func awaitReady(ctx context.Context, opsAddrs []string) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for _, addr := range opsAddrs {
		for !ready(ctx, client, addr) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-ticker.C:
			}
		}
	}
	return nil
}

func ready(ctx context.Context, client *http.Client, addr string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// loopback gives an address for others on this machine to call.
func loopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
