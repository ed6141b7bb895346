package proxybench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// figures are what one phase has shown, or the medians of several.
type figures struct {
	processor float64 // µs for each answered request
	rate      float64 // answered requests per second
	median    float64 // ms
	late      float64 // ms: 99 of 100 took no longer
	resident  float64 // MiB; while idle connections are measured: more than without
	failed    float64
}

// results are the figures of scenarios and entries.
type results map[string]map[string]figures

// measureAll goes through the scenarios.
func (b *bench) measureAll(ctx context.Context, chosen []scenario, o Options) error {
	all := results{}
	for _, s := range chosen {
		rounds := o.Rounds
		if s.idle {
			rounds = 1 // what was used once is used again
		}
		s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return b.proxies[e.proxy] == nil })
		shown := map[string][]figures{}
		for range rounds {
			for _, e := range s.entries {
				f, err := b.phase(ctx, s, e, time.Duration(o.Seconds*float64(time.Second)))
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, e.label, err)
				}
				shown[e.label] = append(shown[e.label], f)
			}
		}
		all[s.name] = map[string]figures{}
		for label, each := range shown {
			all[s.name][label] = medians(each)
		}
		printScenario(b.out, s, all[s.name])
	}
	printAims(b.out, all)
	return nil
}

// phase measures one proxy once.
func (b *bench) phase(ctx context.Context, s scenario, e entry, length time.Duration) (figures, error) {
	p := b.proxies[e.proxy]
	if s.idle {
		return p.hold(s.load.connections)
	}
	l := s.load
	l.path = "/api/" + l.path
	if e.public {
		l.path = "/public/" + s.load.path
	}
	var err error
	if l.token, err = b.tokensFor(s, e, p, length); err != nil {
		return figures{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, warmUp+length)
	defer cancel()
	return p.underLoad(ctx, l)
}

func (b *bench) tokensFor(s scenario, e entry, p *proxy, length time.Duration) (func() (string, bool), error) {
	kind := max(s.tokens, e.tokens)
	switch {
	case p.signer == nil && b.rs != nil && !e.public: // others carry the token as any field
		text, err := b.rs.sign()
		return always(text), err
	case e.public:
		return always(""), nil
	case kind == hot:
		text, err := p.signer.sign()
		return always(text), err
	case kind == many:
		return b.seenTokens(p)
	}
	texts, err := p.signer.signMany(int(freshTokens * (warmUp + length).Seconds()))
	return inTurn(texts, true), err
}

// seenTokens gives many tokens in turn, each of which the proxy has seen before:
// what is measured is how it remembers them.
func (b *bench) seenTokens(p *proxy) (func() (string, bool), error) {
	if b.many[p.name] == nil {
		texts, err := p.signer.signMany(manyTokens)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		var n counts
		load{path: "/api/small", connections: 64, token: inTurn(texts, true)}.drive(ctx, p.address, &n)
		if got := n.answered.Load(); got < manyTokens {
			return nil, fmt.Errorf("%d of %d tokens were answered with 200: %v", got, manyTokens, n.why.Load())
		}
		b.many[p.name] = texts
	}
	return inTurn(b.many[p.name], false), nil
}

// underLoad measures a proxy until ctx ends or the tokens have run out.
func (p *proxy) underLoad(ctx context.Context, l load) (figures, error) {
	var n counts
	done := make(chan []time.Duration, 1)
	go func() { done <- l.drive(ctx, p.address, &n) }()
	time.Sleep(warmUp)
	before, err := measure(p.pids...)
	if err != nil {
		return figures{}, errors.Join(err, drain(done))
	}
	began, answered := time.Now(), n.answered.Load()
	n.measured.Store(true)
	var times []time.Duration
	select {
	case <-ctx.Done():
	case times = <-done: // no tokens are left
	}
	took, answered := time.Since(began), n.answered.Load()-answered
	after, err := measure(p.pids...)
	if times == nil {
		times = <-done
	}
	if err != nil {
		return figures{}, err
	}
	if answered == 0 {
		return figures{}, fmt.Errorf("nothing was answered with 200: %v", n.why.Load())
	}
	return figures{
		processor: float64((after.processor - before.processor).Microseconds()) / float64(answered),
		rate:      float64(answered) / took.Seconds(),
		median:    quantile(times, 0.5), late: quantile(times, 0.99),
		resident: mebibytes(after.resident), failed: float64(n.failed.Load()),
	}, nil
}

func drain(done <-chan []time.Duration) error { <-done; return nil }

// hold measures what idle connections cost, each of which has carried a
// request before.
func (p *proxy) hold(n int) (figures, error) {
	before, err := measure(p.pids...)
	if err != nil {
		return figures{}, err
	}
	token := ""
	if p.signer != nil {
		if token, err = p.signer.sign(); err != nil {
			return figures{}, err
		}
	}
	var clients []*client
	defer func() {
		for _, c := range clients {
			c.hangUp()
		}
	}()
	for range n {
		c := &client{load: load{path: "/api/small"}, address: p.address}
		clients = append(clients, c)
		if err := c.call(token); err != nil {
			return figures{}, fmt.Errorf("call: %w", err)
		}
	}
	after, err := measure(p.pids...)
	return figures{resident: mebibytes(after.resident - before.resident)}, err
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// quantile gives a quantile of sorted times, in ms.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return float64(times[min(len(times)-1, int(q*float64(len(times))))].Microseconds()) / 1000
}

// medians gives the median of each figure.
func medians(all []figures) figures {
	of := func(get func(figures) float64) float64 {
		values := make([]float64, len(all))
		for i, f := range all {
			values[i] = get(f)
		}
		slices.Sort(values)
		n := len(values)
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	return figures{
		processor: of(func(f figures) float64 { return f.processor }),
		rate:      of(func(f figures) float64 { return f.rate }),
		median:    of(func(f figures) float64 { return f.median }),
		late:      of(func(f figures) float64 { return f.late }),
		resident:  of(func(f figures) float64 { return f.resident }),
		failed:    of(func(f figures) float64 { return f.failed }),
	}
}
