package sequencer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
)

// The bounds of waiting for a revocation to arrive.
const (
	answerBound = 250 * time.Millisecond // DESIGN step 8
	wakeBound   = 100 * time.Millisecond // for the active replica to give the numbers
	maxWakeIDs  = 1000
)

// waiter wants to know when its rows have numbers.
type waiter struct {
	open   map[string]bool // the rows without a number so far
	answer contract.WakeAnswer
	done   chan struct{}
}

// waiters are those that one round serves.
type waiters []*waiter

// Committed tells the sequencer of committed rows and returns when every live
// node has applied them, after 250 ms at the latest. A node that has not by
// then is bound by its view age.
func (s *Sequencer) Committed(ctx context.Context, ids []string) auth.Propagation {
	began := s.Now()
	// The client may be gone: its revocation is committed all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerBound)
	defer cancel()
	answer, err := s.numbers(ctx, ids)
	if err != nil {
		s.Log.Warn("committed revocations have no numbers yet; they will with the next round", "error", err)
		nodes, _ := s.Presence.count(0, 0)
		return auth.Propagation{Nodes: nodes, Elapsed: s.Now().Sub(began)}
	}
	nodes, applied := s.Presence.Wait(ctx, answer.Epoch, answer.Number)
	p := auth.Propagation{Nodes: nodes, Applied: applied, Elapsed: s.Now().Sub(began)}
	s.metrics.applied(p)
	return p
}

// numbers gets the rows numbered: by this replica if it is active, else by the
// active one, and by this one after all if that one does not answer.
func (s *Sequencer) numbers(ctx context.Context, ids []string) (contract.WakeAnswer, error) {
	if !s.active() {
		if answer, err := s.askActive(ctx, ids); err == nil {
			return answer, nil
		}
		s.forced.Store(true)
	}
	return s.enqueue(ctx, ids)
}

func (s *Sequencer) askActive(ctx context.Context, ids []string) (contract.WakeAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, wakeBound)
	defer cancel()
	data, err := json.Marshal(contract.WakeRequest{IDs: ids})
	if err != nil {
		return contract.WakeAnswer{}, fmt.Errorf("encode wake request: %w", err)
	}
	reply, err := s.Bus.Request(ctx, s.Bus.Subjects().Wake(), data)
	if err != nil {
		return contract.WakeAnswer{}, fmt.Errorf("wake the active sequencer: %w", err)
	}
	var answer contract.WakeAnswer
	if err := json.Unmarshal(reply, &answer); err != nil {
		return contract.WakeAnswer{}, fmt.Errorf("decode answer of the active sequencer: %w", err)
	}
	return answer, nil
}

// enqueue waits for a round of this replica that begins after the call.
func (s *Sequencer) enqueue(ctx context.Context, ids []string) (contract.WakeAnswer, error) {
	w := &waiter{open: make(map[string]bool, len(ids)), done: make(chan struct{})}
	for _, id := range ids {
		w.open[id] = true
	}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	s.poke()
	select {
	case <-w.done:
		if len(w.open) > 0 {
			return contract.WakeAnswer{}, fmt.Errorf("%d revocations were not numbered", len(w.open))
		}
		return w.answer, nil
	case <-ctx.Done():
		return contract.WakeAnswer{}, fmt.Errorf("wait for revocation numbers: %w", ctx.Err())
	}
}

// poke makes Run begin a round soon.
func (s *Sequencer) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Sequencer) takeWaiters() waiters {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.waiting
	s.waiting = nil
	return taken
}

// numbered gives each waiter what has just been numbered, and lets those go
// that have all.
func (ws waiters) numbered(epoch uint64, rows []row) {
	numbers := make(map[string]uint64, len(rows))
	for i := range rows {
		numbers[rows[i].ID] = rows[i].Number
	}
	ws.tell(epoch, numbers)
}

func (ws waiters) tell(epoch uint64, numbers map[string]uint64) {
	for _, w := range ws {
		if len(w.open) == 0 {
			continue
		}
		for id := range w.open {
			if n, found := numbers[id]; found {
				delete(w.open, id)
				w.answer.Epoch, w.answer.Number = epoch, max(w.answer.Number, n)
			}
		}
		if len(w.open) == 0 {
			close(w.done)
		}
	}
}

// lookUp finds the numbers of rows that an earlier round or another replica
// has numbered.
func (ws waiters) lookUp(ctx context.Context, log revocationLog, epoch uint64) error {
	var open []string
	for _, w := range ws {
		for id := range w.open {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return nil
	}
	numbers, err := log.numbersOf(ctx, open[:min(len(open), maxWakeIDs)])
	if err != nil {
		return err
	}
	ws.tell(epoch, numbers)
	return nil
}

// release lets the rest go at the end of a round, without numbers.
func (ws waiters) release() {
	for _, w := range ws {
		if len(w.open) > 0 {
			close(w.done)
		}
	}
}
