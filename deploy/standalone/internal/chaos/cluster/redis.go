package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"gatehouse.internal/shared/embedded"
)

// startRedis starts a Redis of the cluster's own: the real server where it is
// installed, else the one that is embedded in this process and cannot be
// killed.
func (c *Cluster) startRedis(port int) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		inside, err := embedded.StartRedis()
		if err != nil {
			return err
		}
		c.insideRedis = inside
		c.redisAddr = strings.TrimSuffix(strings.TrimPrefix(inside.URL(), "redis://"), "/0")
		return nil
	}
	c.redisAddr = loopback(port)
	c.Redis, err = c.process("redis", path, nil, "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", c.Dir,
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
	return err
}

// FlushRedis deletes everything in Redis.
func (c *Cluster) FlushRedis(ctx context.Context) error {
	answer, err := c.AskRedis(ctx, "FLUSHALL")
	if err == nil && answer != "+OK" {
		err = fmt.Errorf("flush redis: %s", answer)
	}
	return err
}

// AskRedis sends a command to Redis, past all links, and gives the first line
// of the answer, or the text of an answer that is one.
func (c *Cluster) AskRedis(ctx context.Context, command string) (string, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.redisAddr)
	if err != nil {
		return "", fmt.Errorf("reach redis: %w", err)
	}
	defer conn.Close() //nolint:errcheck // the answer has come
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", fmt.Errorf("reach redis: %w", err)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	answer := bufio.NewReader(conn)
	line, err := answer.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "$-") {
		line, err = answer.ReadString('\n')
	}
	if err != nil {
		return "", fmt.Errorf("ask redis: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// awaitRedis waits until Redis answers.
func (c *Cluster) awaitRedis(ctx context.Context) error {
	return until(ctx, "redis answers", func() error {
		if answer, err := c.AskRedis(ctx, "PING"); err != nil || answer != "+PONG" {
			return errors.Join(err, fmt.Errorf("answer %q", answer))
		}
		return nil
	})
}
