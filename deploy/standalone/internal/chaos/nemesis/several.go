package nemesis

import (
	"context"
	"strings"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// every does the same to several processes.
func every(ps []*cluster.Process, do func(*cluster.Process) error) func(context.Context) error {
	return func(context.Context) error {
		for _, p := range ps {
			if err := do(p); err != nil {
				return err
			}
		}
		return nil
	}
}

// everybody is all gateways.
func everybody(c *cluster.Cluster) []int {
	var out []int
	for i := range c.Gateways {
		out = append(out, i)
	}
	return out
}

// ofAll are the faults of all parts of a kind at once.
func ofAll(c *cluster.Cluster) []Fault {
	start, kill := (*cluster.Process).Start, (*cluster.Process).Kill
	brokers := append(names(c.Brokers), "stream")
	out := []Fault{
		{Name: "all gateways are killed", Uses: names(c.Gateways), Begin: every(c.Gateways, kill), End: every(c.Gateways, start)},
		{Name: "all auth-services are killed", Uses: names(c.Auths), Blind: everybody(c), Begin: every(c.Auths, kill), End: every(c.Auths, start)},
		{Name: "all auth-services are stopped", Uses: names(c.Auths), Blind: everybody(c),
			Begin: every(c.Auths, (*cluster.Process).Pause), End: every(c.Auths, (*cluster.Process).Resume)},
		onLinks(c, Fault{Name: "PostgreSQL is away", Blind: everybody(c)}, names(c.Auths), []string{"postgres"}, (*faultproxy.Link).Cut),
		{Name: "NATS is down", Uses: brokers, Begin: every(c.Brokers, kill), End: every(c.Brokers, start)},
		{Name: "NATS hangs", Uses: brokers, Begin: every(c.Brokers, (*cluster.Process).Pause), End: every(c.Brokers, (*cluster.Process).Resume)},
		{Name: "NATS starts again with empty disks", Uses: brokers, Begin: again(c, c.EmptyStore)},
		{Name: "NATS starts again with old disks", Uses: brokers, Begin: again(c, c.RestoreStore)},
		onLinks(c, Fault{Name: "all gateways and NATS: slow"}, names(c.Gateways), names(c.Brokers), slow),
		{Name: "all connections are reset", Uses: []string{"connections"}, Begin: func(context.Context) error {
			for _, l := range c.Links(func(name string) bool { return !strings.HasPrefix(name, "nats-") }) {
				l.Reset()
			}
			return nil
		}},
	}
	if len(c.Brokers) > 2 {
		out = append(out, Fault{Name: "most of NATS is down", Uses: brokers, Begin: every(c.Brokers[1:], kill), End: every(c.Brokers[1:], start)})
	}
	return out
}

// again ends all brokers, changes what they have on disk, and starts them.
func again(c *cluster.Cluster, change func(i int) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := every(c.Brokers, (*cluster.Process).Kill)(ctx); err != nil {
			return err
		}
		for i := range c.Brokers {
			if err := change(i); err != nil {
				return err
			}
		}
		return every(c.Brokers, (*cluster.Process).Start)(ctx)
	}
}

// ofStream are what an operator can do to the stream of revocations.
func ofStream(c *cluster.Cluster) []Fault {
	uses := append(names(c.Brokers), "stream")
	return []Fault{
		{Name: "the stream is purged", Uses: uses, Begin: c.PurgeStream},
		{Name: "the stream is deleted", Uses: uses, Begin: c.DeleteStream},
	}
}

func ofRedis(c *cluster.Cluster) []Fault {
	out := []Fault{{Name: "Redis is flushed", Uses: []string{"redis"}, Begin: c.FlushRedis}}
	if c.Redis == nil {
		return out
	}
	out = append(out, ofProcess(c.Redis)...)
	brokers := append(names(c.Brokers), "stream", "redis")
	both := append(append([]*cluster.Process(nil), c.Brokers...), c.Redis)
	return append(out, Fault{
		Name: "NATS and Redis are down", Uses: brokers, Blind: everybody(c),
		Begin: every(both, (*cluster.Process).Kill), End: every(both, (*cluster.Process).Start),
	})
}
