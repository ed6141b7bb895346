package nemesis

import (
	"context"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// Faults are all that can go wrong with a cluster, in a fixed order.
func Faults(c *cluster.Cluster) []Fault {
	var out []Fault
	for i, p := range c.Gateways {
		out = append(out, ofProcess(p)...)
		out = append(out, ofGateway(c, i)...)
	}
	for _, p := range c.Auths {
		out = append(out, ofProcess(p)...)
		out = append(out, ofAuth(c, p)...)
	}
	for i, p := range c.Brokers {
		out = append(out, ofProcess(p)...)
		out = append(out, ofBroker(c, i)...)
	}
	out = append(out, ofProcess(c.Users)...)
	out = append(out, ofAll(c)...)
	out = append(out, ofUsers(c)...)
	if c.Clocks() {
		out = append(out, ofClocks(c)...)
	}
	out = append(out, ofStream(c)...)
	return append(out, ofRedis(c)...)
}

// always makes a function without a context one with.
func always(f func() error) func(context.Context) error {
	return func(context.Context) error { return f() }
}

func ofProcess(p *cluster.Process) []Fault {
	return []Fault{
		{Name: p.Name + " is killed", Uses: []string{p.Name}, Begin: always(p.Kill), End: always(p.Start)},
		{Name: p.Name + " is stopped", Uses: []string{p.Name}, Begin: always(p.Pause), End: always(p.Resume)},
		{Name: p.Name + " is killed and starts at once", Uses: []string{p.Name}, Begin: func(context.Context) error {
			if err := p.Kill(); err != nil {
				return err
			}
			return p.Start()
		}},
	}
}

// onLinks is a fault of the links from some parts to some others.
func onLinks(c *cluster.Cluster, f Fault, from, to []string, breakOne func(*faultproxy.Link)) Fault {
	each := func(do func(*faultproxy.Link)) func(context.Context) error {
		return func(context.Context) error {
			for _, a := range from {
				for _, b := range to {
					if l := c.Link(a, b); l != nil {
						do(l)
					}
				}
			}
			return nil
		}
	}
	f.Begin, f.End = each(breakOne), each((*faultproxy.Link).Heal)
	if f.Uses == nil {
		f.Uses = from
	}
	return f
}

func swallow(l *faultproxy.Link) { l.Stall(faultproxy.Both) }
func deafen(l *faultproxy.Link)  { l.Stall(faultproxy.Down) }
func mute(l *faultproxy.Link)    { l.Stall(faultproxy.Up) }
func slow(l *faultproxy.Link)    { l.Delay(300*time.Millisecond, 500*time.Millisecond) }

func names(ps []*cluster.Process) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Name)
	}
	return out
}

func ofGateway(c *cluster.Cluster, i int) []Fault {
	me, brokers := []string{c.Gateways[i].Name}, names(c.Brokers)
	all := append(names(c.Brokers), "redis")
	return []Fault{
		onLinks(c, Fault{Name: me[0] + " is cut off from NATS"}, me, brokers, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: me[0] + " and NATS: nothing passes"}, me, brokers, swallow),
		onLinks(c, Fault{Name: me[0] + " and NATS: it can send and not receive"}, me, brokers, deafen),
		onLinks(c, Fault{Name: me[0] + " and NATS: it can receive and not send"}, me, brokers, mute),
		onLinks(c, Fault{Name: me[0] + " and NATS: slow"}, me, brokers, slow),
		onLinks(c, Fault{Name: me[0] + " is cut off from NATS and Redis", Blind: []int{i}}, me, all, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: me[0] + ", NATS and Redis: nothing passes", Blind: []int{i}}, me, all, swallow),
		onLinks(c, Fault{Name: me[0] + ", NATS and Redis: it can send and not receive", Blind: []int{i}}, me, all, deafen),
		onLinks(c, Fault{Name: me[0] + " is cut off from the auth-services"}, me, names(c.Auths), (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: me[0] + " and the auth-services: nothing passes"}, me, names(c.Auths), swallow),
		onLinks(c, Fault{Name: me[0] + " and the auth-services: it can send and not receive"}, me, names(c.Auths), deafen),
		onLinks(c, Fault{Name: me[0] + " is cut off from Redis"}, me, []string{"redis"}, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: me[0] + " and Redis: nothing passes"}, me, []string{"redis"}, swallow),
		onLinks(c, Fault{Name: me[0] + " and Redis: slow"}, me, []string{"redis"}, slow),
	}
}

func ofAuth(c *cluster.Cluster, p *cluster.Process) []Fault {
	me, brokers := []string{p.Name}, names(c.Brokers)
	return []Fault{
		onLinks(c, Fault{Name: p.Name + " is cut off from NATS"}, me, brokers, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: p.Name + " and NATS: nothing passes"}, me, brokers, swallow),
		onLinks(c, Fault{Name: p.Name + " and NATS: it can send and not receive"}, me, brokers, deafen),
		onLinks(c, Fault{Name: p.Name + " and NATS: it can receive and not send"}, me, brokers, mute),
		onLinks(c, Fault{Name: p.Name + " and NATS: slow"}, me, brokers, slow),
		onLinks(c, Fault{Name: p.Name + " is cut off from PostgreSQL"}, me, []string{"postgres"}, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: p.Name + " and PostgreSQL: nothing passes"}, me, []string{"postgres"}, swallow),
		onLinks(c, Fault{Name: p.Name + " and PostgreSQL: it can send and not receive"}, me, []string{"postgres"}, deafen),
		onLinks(c, Fault{Name: p.Name + " and PostgreSQL: slow"}, me, []string{"postgres"}, slow),
		onLinks(c, Fault{Name: p.Name + " is cut off from Redis"}, me, []string{"redis"}, (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: p.Name + " and Redis: nothing passes"}, me, []string{"redis"}, swallow),
	}
}

func ofUsers(c *cluster.Cluster) []Fault {
	me := []string{c.Users.Name}
	return []Fault{
		onLinks(c, Fault{Name: "users are cut off from NATS"}, me, names(c.Brokers), (*faultproxy.Link).Cut),
		onLinks(c, Fault{Name: "users are cut off from PostgreSQL"}, me, []string{"postgres"}, (*faultproxy.Link).Cut),
	}
}

// ofClocks are wall clocks that are wrong by the five minutes of F33.
func ofClocks(c *cluster.Cluster) []Fault {
	const wrong = 5 * time.Minute
	var out []Fault
	for _, p := range append(append([]*cluster.Process(nil), c.Gateways...), c.Auths...) {
		set := func(by time.Duration) func(context.Context) error {
			return always(func() error { return c.SetClock(p, by) })
		}
		uses := []string{p.Name + "'s clock"}
		out = append(out,
			Fault{Name: p.Name + " is five minutes ahead", Uses: uses, Skews: true, Begin: set(wrong), End: set(0)},
			Fault{Name: p.Name + " is five minutes behind", Uses: uses, Skews: true, Begin: set(-wrong), End: set(0)})
	}
	return out
}

func ofBroker(c *cluster.Cluster, i int) []Fault {
	p := c.Brokers[i]
	apart := onLinks(c, Fault{Name: p.Name + " is apart from the other brokers", Uses: []string{p.Name}}, []string{p.Name}, names(c.Brokers), swallow)
	toIt := onLinks(c, Fault{}, names(c.Brokers), []string{p.Name}, swallow)
	begin, end := apart.Begin, apart.End
	apart.Begin = func(ctx context.Context) error {
		if err := begin(ctx); err != nil {
			return err
		}
		return toIt.Begin(ctx)
	}
	apart.End = func(ctx context.Context) error {
		if err := end(ctx); err != nil {
			return err
		}
		return toIt.End(ctx)
	}
	startsWith := func(disk string, change func(i int) error) Fault {
		return Fault{Name: p.Name + " starts again with an " + disk + " disk", Uses: []string{p.Name, "stream"}, Begin: func(context.Context) error {
			if err := p.Kill(); err != nil {
				return err
			}
			if err := change(i); err != nil {
				return err
			}
			return p.Start()
		}}
	}
	return []Fault{apart, startsWith("empty", c.EmptyStore), startsWith("old", c.RestoreStore)}
}
