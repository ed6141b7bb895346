package revocation

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// The periods of a follower.
const (
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
	steps    *Steps
	sending  sync.Mutex
	told     time.Time     // when a report last said that the watermark rose; under sending
	advanced chan struct{} // the watermark rose: report soon
	gap      chan struct{} // something may be missing
	replayed chan struct{} // closed once the replay has ended
	slow     chan struct{} // closed when the replay is no longer wanted
}

func (f *Follower) init() {
	f.once.Do(func() {
		f.steps = &Steps{
			View: f.View, Log: f.Log, Metrics: f.Metrics, Now: f.Now, Address: f.Address, Version: f.Version, KeysStale: f.KeysStale,
		}
		f.advanced = make(chan struct{}, 1)
		f.gap = make(chan struct{}, 1)
		f.replayed = make(chan struct{})
		f.slow = make(chan struct{})
	})
}

// Run follows until ctx ends, and then returns nil once all of its goroutines
// have ended. It returns an error only if it cannot subscribe.
func (f *Follower) Run(ctx context.Context) error {
	f.init()
	subjects := f.Bus.Subjects()
	batches, err := f.Bus.Subscribe(subjects.Batches(), func(m bus.Message) { f.do(f.steps.Batch(m.Data, true)) })
	if err != nil {
		return fmt.Errorf("subscribe to revocation batches: %w", err)
	}
	defer batches.Stop()
	for _, subject := range []string{subjects.Heads(), subjects.HeadsOf(contract.HeadPart(f.View.Node))} {
		heads, err := f.Bus.Subscribe(subject, func(m bus.Message) { f.do(f.steps.Head(m.Data)) })
		if err != nil {
			return fmt.Errorf("subscribe to revocation heads: %w", err)
		}
		defer heads.Stop()
	}
	var group sync.WaitGroup
	for _, loop := range []func(context.Context){f.report, f.replay, f.repair, f.sweep} {
		group.Go(func() { loop(ctx) })
	}
	group.Wait()
	return nil
}

// do has happen what a step asks for.
func (f *Follower) do(next Next) {
	if next&ReportNow != 0 {
		if f.early() > 0 {
			next |= ReportSoon // many nodes must not all report on every batch
		} else {
			f.tell() // from here, because somebody waits for it
		}
	}
	if next&ReportSoon != 0 {
		signal(f.advanced)
	}
	if next&LookForGap != 0 {
		signal(f.gap)
	}
}

// report sends a new nonce every period, and soon after a replay or a repair
// has moved the watermark. A live batch is reported at once, by do, unless
// there are many nodes and this one has just reported.
func (f *Follower) report(ctx context.Context) {
	send := f.send
	for {
		f.steps.Renew()
		send()
		select {
		case <-ctx.Done():
			return
		case <-time.After(contract.ReportPeriod(f.steps.Crowd())):
			send = f.send
		case <-f.advanced:
			if !wait(ctx, f.early()) {
				return
			}
			send = f.tell
		}
	}
}

// early is for how long yet it is too soon to tell again that the watermark
// rose.
func (f *Follower) early() time.Duration {
	f.sending.Lock()
	defer f.sending.Unlock()
	return contract.ReportSpacing(f.steps.Crowd()) - time.Since(f.told)
}

// tell reports that the watermark rose.
func (f *Follower) tell() {
	f.sending.Lock()
	f.told = time.Now()
	f.sending.Unlock()
	f.send()
}

// send reports one at a time, so that no report of an older watermark follows
// one of a newer.
func (f *Follower) send() {
	f.sending.Lock()
	defer f.sending.Unlock()
	data, err := f.steps.Report()
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
		select {
		case <-f.slow:
			return errTooSlow
		default:
			f.do(f.steps.Batch(data, false))
			return nil
		}
	})
	if err != nil && ctx.Err() == nil {
		f.Log.Info("revocation stream not replayed; asking for its numbers instead", "error", err)
	}
}

// repair asks the auth-service for missing numbers, as long as there are any.
func (f *Follower) repair(ctx context.Context) {
	f.awaitReplay(ctx)
	for {
		request, missing := f.steps.Repair()
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
		if again, still := f.steps.Repair(); !still || again.From != request.From {
			continue
		}
		if err := f.ask(ctx, request); err != nil {
			if leftOut, write := f.steps.seldom.Next("repair", f.Now()); write {
				f.Log.Warn("revocations not repaired", "from", request.From, "to", request.To, "error", err, "left_out", leftOut)
			}
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
		next, err := f.steps.Answer(answer)
		f.do(next)
		if err != nil {
			return err
		}
		more, missing := f.steps.Repair()
		if !missing {
			return nil
		}
		request = more
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
	for {
		f.do(f.steps.Sweep())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
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
