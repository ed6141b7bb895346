package cluster

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"gatehouse.internal/shared/bus"
)

// startBrokers starts the NATS servers. Between any two of them there is a link
// for each direction in which one may connect to the other, and they tell
// nobody of ways around the links.
func (c *Cluster) startBrokers(client, route []int) error {
	for i := range client {
		for j := range client {
			if i == j {
				continue
			}
			if _, err := c.open(Broker(i), Broker(j), loopback(route[j])); err != nil {
				return err
			}
		}
	}
	for i := range client {
		c.brokerAddrs = append(c.brokerAddrs, loopback(client[i]))
		config := filepath.Join(c.Dir, Broker(i)+".conf")
		if err := os.WriteFile(config, []byte(c.brokerConfig(i, client[i], route[i])), 0o600); err != nil {
			return fmt.Errorf("configure %s: %w", Broker(i), err)
		}
		p, err := c.process(Broker(i), filepath.Join(c.Binaries, "nats-server"), nil, "-c", config)
		if err != nil {
			return err
		}
		c.Brokers = append(c.Brokers, p)
	}
	return nil
}

// Broker names a NATS server by its index, from 0.
func Broker(i int) string { return fmt.Sprintf("nats-%d", i+1) }

func (c *Cluster) brokerConfig(i, client, route int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %q\nlisten: %q\nmax_payload: 1MB\n", Broker(i), loopback(client))
	fmt.Fprintf(&b, "jetstream { store_dir: %q, sync_interval: always, max_memory_store: 64MB, max_file_store: 2GB }\n", c.StoreDir(i))
	if c.config.Brokers == 1 {
		return b.String()
	}
	// Advertising an address where nobody listens keeps the servers from
	// connecting to one another past the links.
	fmt.Fprintf(&b, "cluster {\n  name: chaos\n  listen: %q\n  advertise: \"127.0.0.1:1\"\n  no_advertise: true\n  routes: [\n", loopback(route))
	for j := range c.config.Brokers {
		if j != i {
			fmt.Fprintf(&b, "    \"nats://%s\"\n", c.address(Broker(i), Broker(j)))
		}
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

// StoreDir is where a NATS server keeps its streams.
func (c *Cluster) StoreDir(i int) string { return filepath.Join(c.Dir, "store-"+Broker(i)) }

// SaveStore copies the streams of a NATS server as they are on disk now; it
// should be down.
func (c *Cluster) SaveStore(i int) error {
	saved := c.StoreDir(i) + "-saved"
	if err := os.RemoveAll(saved); err != nil {
		return fmt.Errorf("forget the old copy of %s: %w", Broker(i), err)
	}
	return copyFolder(c.StoreDir(i), saved)
}

// RestoreStore puts back what SaveStore has copied; the server must be down.
func (c *Cluster) RestoreStore(i int) error {
	if err := c.EmptyStore(i); err != nil {
		return err
	}
	return copyFolder(c.StoreDir(i)+"-saved", c.StoreDir(i))
}

// EmptyStore deletes the streams of a NATS server, which must be down.
func (c *Cluster) EmptyStore(i int) error {
	if err := os.RemoveAll(c.StoreDir(i)); err != nil {
		return fmt.Errorf("empty the store of %s: %w", Broker(i), err)
	}
	return nil
}

func copyFolder(from, to string) error {
	if _, err := os.Stat(from); os.IsNotExist(err) {
		return nil // nothing was written yet
	}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// PurgeStream deletes all messages of the stream of revocations.
func (c *Cluster) PurgeStream(ctx context.Context) error {
	return c.onStream(ctx, (*bus.Bus).PurgeStream)
}

// DeleteStream deletes the stream of revocations. The system makes it again.
func (c *Cluster) DeleteStream(ctx context.Context) error {
	return c.onStream(ctx, (*bus.Bus).DeleteStream)
}

func (c *Cluster) onStream(ctx context.Context, do func(*bus.Bus, context.Context, string) error) error {
	b, err := c.Bus(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return do(b, ctx, b.Subjects().RevocationStream())
}

// Prefix is the first word of every subject and stream.
const Prefix = "chaos"

// Bus connects to the brokers past all links, as an operator would.
func (c *Cluster) Bus(ctx context.Context) (*bus.Bus, error) {
	b, err := bus.Connect(bus.Config{URL: "nats://" + strings.Join(c.brokerAddrs, ","), Prefix: Prefix, Name: "chaos"}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if err := until(ctx, "a broker answers", func() error { return b.Ready(ctx) }); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}
