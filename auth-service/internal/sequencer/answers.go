package sequencer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/revocation"
)

// subscribe listens to nodes and other replicas, and returns what ends it.
func (s *Sequencer) subscribe() (stop func(), err error) {
	subjects := s.Bus.Subjects()
	var open []bus.Subscription
	stop = func() {
		for _, sub := range open {
			sub.Stop()
		}
	}
	keep := func(sub bus.Subscription, err error) error {
		if err == nil {
			open = append(open, sub)
		}
		return err
	}
	err = errors.Join(
		keep(s.Bus.Subscribe(subjects.Reports(), func(m bus.Message) { s.Presence.Take(m.Data) })),
		keep(s.Bus.Subscribe(subjects.Heads(), func(m bus.Message) { s.heard(m.Data) })),
		keep(s.Bus.Subscribe(subjects.HeadsOfReplicas(), func(m bus.Message) { s.heard(m.Data) })),
		// Every replica gets a wake; the active one alone answers.
		keep(s.Bus.Respond(subjects.Wake(), "", s.woken)),
		keep(s.Bus.Respond(subjects.Repair(), "auth-service", s.repaired)),
	)
	if err != nil {
		stop()
		return nil, fmt.Errorf("subscribe for the sequencer: %w", err)
	}
	return stop, nil
}

// woken answers another replica with the numbers of its rows.
func (s *Sequencer) woken(ctx context.Context, data []byte) ([]byte, error) {
	if !s.active() {
		return nil, bus.ErrNoReply
	}
	var request contract.WakeRequest
	if err := json.Unmarshal(data, &request); err != nil || len(request.IDs) == 0 || len(request.IDs) > maxWakeIDs {
		return nil, fault.New(fault.Malformed, "not a wake request")
	}
	ctx, cancel := context.WithTimeout(ctx, answerBound)
	defer cancel()
	answer, err := s.enqueue(ctx, request.IDs)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "the revocations have no numbers yet", err)
	}
	return json.Marshal(answer)
}

// repaired answers a node with the numbers it lacks, as one signed batch.
func (s *Sequencer) repaired(ctx context.Context, data []byte) ([]byte, error) {
	var request contract.RepairRequest
	if err := json.Unmarshal(data, &request); err != nil || request.From == 0 || request.To < request.From {
		return nil, fault.New(fault.Malformed, "not a repair request")
	}
	s.metrics.repairs.Inc()
	b, err := s.log.batch(ctx, request.From, request.To)
	if err != nil {
		return nil, err
	}
	return s.seal(ctx, revocation.PurposeBatch, b.Encode())
}
