package sequencer

import (
	"context"
	"encoding/json"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// head publishes what a look into the database has shown, unless a head or a
// batch went out a moment ago: then it is owed. Somebody waits for the batch,
// and the nodes must not be busy with a head while they apply it. The nonces of
// the nodes must have been received before the look. A few nodes are all served
// by one head.
func (s *Sequencer) head(ctx context.Context, current state, nodes snapshot) error {
	h := contract.Head{
		V: contract.HeadVersion, Sequencer: s.id, Epoch: current.Epoch, Last: current.Last, Oldest: current.Oldest, Nodes: nodes.nodes,
	}
	if len(nodes.nonces) > contract.OneHead {
		return s.headOfEachPart(ctx, h, nodes.nonces)
	}
	since := s.Now().Sub(s.lastHead)
	s.headOwed = since < headSpacing || s.batched && since < headPatience
	if s.headOwed {
		return nil
	}
	h.Nonces = nodes.nonces
	if sent, err := s.sendHead(ctx, s.road.Subjects().Heads(), &h); err != nil || !sent {
		return err
	}
	s.lastHead = s.Now()
	return nil
}

// headOfEachPart publishes a head for each part of many nodes, and one for the
// other replicas, once a period: so what one node receives grows neither with
// the number of the others nor with that of the batches.
func (s *Sequencer) headOfEachPart(ctx context.Context, h contract.Head, nonces map[string]string) error {
	s.headOwed = false
	// The last head of a period may have gone out a little late.
	if s.Now().Sub(s.lastHead) < headPeriod-headSpacing {
		return nil
	}
	if sent, err := s.sendHead(ctx, s.road.Subjects().HeadsOfReplicas(), &h); err != nil || !sent {
		return err
	}
	s.lastHead = s.Now()
	for part, nonces := range parted(nonces) {
		h.Nonces = nonces
		if sent, err := s.sendHead(ctx, s.road.Subjects().HeadsOf(part), &h); err != nil || !sent {
			return err
		}
	}
	return nil
}

// announce publishes how far the numbers go while there are more to give. It
// proves nothing: there are rows without a number.
func (s *Sequencer) announce(ctx context.Context, current state, nodes int) error {
	_, err := s.sendHead(ctx, s.road.Subjects().Heads(), &contract.Head{
		V: contract.HeadVersion, Sequencer: s.id, Epoch: current.Epoch, Last: current.Last, Oldest: current.Oldest, Nodes: nodes,
	})
	return err
}

// parted divides the nonces by the part to which their node belongs.
func parted(nonces map[string]string) map[int]map[string]string {
	parts := make(map[int]map[string]string, contract.HeadParts)
	for reporter, nonce := range nonces {
		part := contract.HeadPart(reporter)
		if parts[part] == nil {
			parts[part] = make(map[string]string, len(nonces)/contract.HeadParts+1)
		}
		parts[part][reporter] = nonce
	}
	return parts
}

// sendHead signs and publishes one head. Without a broker it reports false,
// which is no error: the nodes' view age tells what follows from it.
func (s *Sequencer) sendHead(ctx context.Context, subject string, h *contract.Head) (sent bool, err error) {
	payload, err := json.Marshal(h)
	if err != nil {
		return false, fmt.Errorf("encode head: %w", err)
	}
	message, err := s.seal(ctx, revocation.PurposeHead, payload)
	if err != nil {
		return false, err
	}
	if err := s.road.Publish(subject, message); err != nil {
		s.Log.Debug("head not published", "error", err)
		return false, nil
	}
	return true, nil
}
