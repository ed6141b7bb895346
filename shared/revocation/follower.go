package revocation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// The periods of a follower.
const (
	reportPeriod   = 250 * time.Millisecond
	repairPatience = 25 * time.Millisecond // how long a gap may be just a message on its way
	repairTimeout  = time.Second
	replayTimeout  = 30 * time.Second
	sweepPeriod    = time.Second
	// clockSlip is how far the wall clock may go back before the node forgets
	// what it has: it may have thrown away entries that are alive after all.
	// Entries outlive their tokens by more than this.
	clockSlip = time.Minute
)

// Follower keeps a view up to date from the bus: it subscribes to batches and
// heads, replays the stream once, asks for what is missing, and reports how
// far the node has come. The view is judged by the heads that arrive and never
// by what the client library says of its connection.
type Follower struct {
	View    *View
	Bus     *bus.Bus
	Log     *slog.Logger
	Metrics *Metrics
	Now     func() time.Time
	Address string // where the node serves, for the list of nodes
	Version string // of the program
	// KeysStale is called when a message names an events key that is not
	// known, so that the key set can be fetched again. It must not block.
	KeysStale func()

	once     sync.Once
	sending  sync.Mutex
	nonce    atomic.Pointer[string] // the newest one sent
	advanced chan struct{}          // the watermark rose: report soon
	gap      chan struct{}          // something may be missing
	replayed chan struct{}          // closed once the replay has ended
}

func (f *Follower) init() {
	f.once.Do(func() {
		f.advanced = make(chan struct{}, 1)
		f.gap = make(chan struct{}, 1)
		f.replayed = make(chan struct{})
	})
}

// Run follows until ctx ends, and then returns nil once all of its goroutines
// have ended. It returns an error only if it cannot subscribe.
func (f *Follower) Run(ctx context.Context) error {
	f.init()
	subjects := f.Bus.Subjects()
	batches, err := f.Bus.Subscribe(subjects.Batches(), func(m bus.Message) { f.batch(m.Data, true) })
	if err != nil {
		return fmt.Errorf("subscribe to revocation batches: %w", err)
	}
	defer batches.Stop()
	heads, err := f.Bus.Subscribe(subjects.Heads(), func(m bus.Message) { f.head(m.Data) })
	if err != nil {
		return fmt.Errorf("subscribe to revocation heads: %w", err)
	}
	defer heads.Stop()
	var group sync.WaitGroup
	for _, loop := range []func(context.Context){f.report, f.replay, f.repair, f.sweep} {
		group.Go(func() { loop(ctx) })
	}
	group.Wait()
	return nil
}

// batch takes in a sealed batch, live or replayed.
func (f *Follower) batch(message []byte, live bool) {
	b, rose, err := f.View.TakeBatch(message)
	if err != nil {
		f.rejected("batch", err)
		return
	}
	nonce := f.nonce.Load()
	switch {
	case rose && live && nonce != nil:
		f.send(*nonce) // from here, because somebody waits for it
	case rose:
		signal(f.advanced)
	}
	if live && len(b.Entries) > 0 {
		f.Metrics.propagated(f.Now().Sub(b.Committed))
	}
	if _, _, _, missing := f.View.Progress.Missing(); missing {
		signal(f.gap)
	}
}

func (f *Follower) head(message []byte) {
	outcome, err := f.View.TakeHead(message)
	if err != nil {
		f.rejected("head", err)
		return
	}
	if outcome == HeadRegressed {
		f.Metrics.reject("regressed")
		f.Log.Error("the revocation log has lost numbers which this node has applied; waiting for a new epoch")
	}
	signal(f.gap)
}

// rejected counts a message that changed nothing, and asks for newer keys if
// that may help. What it held is missed by number, and repaired.
func (f *Follower) rejected(what string, err error) {
	f.Metrics.reject(Reason(err))
	f.Log.Warn("revocation message refused", "message", what, "reason", Reason(err))
	if errors.Is(err, ErrUnknownKey) && f.KeysStale != nil {
		f.KeysStale()
	}
	signal(f.gap)
}

// report sends a new nonce every period, and soon after a replay or a repair
// has moved the watermark. A live batch is reported at once, by batch.
func (f *Follower) report(ctx context.Context) {
	ticker := time.NewTicker(reportPeriod)
	defer ticker.Stop()
	for {
		nonce := f.View.Progress.Nonce()
		f.nonce.Store(&nonce)
		f.send(nonce)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.advanced:
		}
	}
}

// send reports one at a time, so that no report of an older watermark follows
// one of a newer.
func (f *Follower) send(nonce string) {
	f.sending.Lock()
	defer f.sending.Unlock()
	at := f.View.Progress.Position()
	report := contract.Report{
		V: contract.ReportVersion, Node: f.View.Node, Nonce: nonce, Address: f.Address, Version: f.Version,
		Epoch: at.Epoch, Applied: at.Applied, Head: at.Head, AgeMillis: -1, Degraded: true,
	}
	if age, known := f.View.Progress.Age(); known {
		report.AgeMillis = float64(age.Microseconds()) / 1000
		report.Degraded = age > SoftLimit
	}
	data, err := json.Marshal(report)
	if err == nil {
		err = f.Bus.Publish(f.Bus.Subjects().Report(f.View.Node), data)
	}
	if err != nil {
		f.Log.Debug("report not sent", "error", err) // the view age tells what follows from it
	}
}

// replay reads the stream from its oldest message once, so that a cold node
// costs the auth-service nothing. What the stream does not have is repaired.
func (f *Follower) replay(ctx context.Context) {
	defer close(f.replayed)
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	err := f.Bus.Replay(ctx, f.Bus.Subjects().RevocationStream(), func(data []byte) error {
		f.batch(data, false)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		f.Log.Info("revocation stream not replayed; asking for its numbers instead", "error", err)
	}
}

// repair asks the auth-service for missing numbers, as long as there are any.
func (f *Follower) repair(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.replayed:
	case <-time.After(2 * time.Second): // a hung stream must not delay what the database can give
	}
	for {
		epoch, from, to, missing := f.View.Progress.Missing()
		if !missing {
			select {
			case <-ctx.Done():
				return
			case <-f.gap:
			}
			continue
		}
		if !wait(ctx, repairPatience) {
			return
		}
		if _, again, _, still := f.View.Progress.Missing(); !still || again != from {
			continue
		}
		if err := f.ask(ctx, contract.RepairRequest{Node: f.View.Node, Epoch: epoch, From: from, To: to}); err != nil {
			f.Log.Warn("revocations not repaired", "from", from, "to", to, "error", err)
			if !wait(ctx, 100*time.Millisecond+rand.N(400*time.Millisecond)) {
				return
			}
		}
	}
}

// ask has the auth-service answer runs of numbers until the gap is closed or
// an answer brings nothing new.
func (f *Follower) ask(ctx context.Context, request contract.RepairRequest) error {
	for {
		f.Metrics.repaired()
		data, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("encode repair request: %w", err)
		}
		answer, err := f.requested(ctx, data)
		if err != nil {
			return err
		}
		before := f.View.Progress.Position()
		f.batch(answer, false)
		after := f.View.Progress.Position()
		if after == before {
			return errors.New("the answer brought nothing new")
		}
		epoch, from, to, missing := f.View.Progress.Missing()
		if !missing {
			return nil
		}
		request.Epoch, request.From, request.To = epoch, from, to
	}
}

func (f *Follower) requested(ctx context.Context, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	answer, err := f.Bus.Request(ctx, f.Bus.Subjects().Repair(), data)
	if err != nil {
		return nil, fmt.Errorf("ask for missing revocations: %w", err)
	}
	return answer, nil
}

// sweep removes expired entries bit by bit, and makes the node start over when
// its wall clock goes back, because it may have removed too much.
func (f *Follower) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	start := f.Now()
	var ahead time.Duration // how far the wall clock has run ahead of the monotonic one
	for part := 0; ; part++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := f.Now()
		slip := now.Round(0).Sub(start.Round(0)) - now.Sub(start)
		ahead = max(ahead, slip)
		if ahead-slip > clockSlip {
			f.Log.Error("the wall clock went back; learning all revocations anew", "seconds", (ahead - slip).Seconds())
			f.View.Progress.Forget()
			ahead = slip
			signal(f.gap)
		}
		f.View.Set.Sweep(part, now)
	}
}

// signal wakes whoever waits on c, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait is false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
