package sequencer

import (
	"context"
	"encoding/json"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// head publishes what a look into the database has shown, unless a head went
// out a moment ago: then it is owed. The nonces of the nodes must have been
// received before the look. A few nodes are all served by one head; of many,
// each part gets its own once a period, so that what one node receives does not
// grow with the number of the others.
func (s *Sequencer) head(ctx context.Context, current state, nodes snapshot) error {
	s.headOwed = s.Now().Sub(s.lastHead) < headSpacing
	if s.headOwed {
		return nil
	}
	h := contract.Head{
		V: contract.HeadVersion, Sequencer: s.id, Epoch: current.Epoch, Last: current.Last, Oldest: current.Oldest,
		Nodes: nodes.nodes, Nonces: nodes.nonces,
	}
	many := len(nodes.nonces) > contract.OneHead
	if many {
		h.Nonces = nil
	}
	if sent, err := s.sendHead(ctx, s.road.Subjects().Heads(), &h); err != nil || !sent {
		return err
	}
	s.lastHead = s.Now()
	// The last head of a period may have gone out a little late.
	if !many || s.Now().Sub(s.lastParts) < headPeriod-headSpacing {
		return nil
	}
	s.lastParts = s.Now()
	for part, nonces := range parted(nodes.nonces) {
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
	for node, nonce := range nonces {
		part := contract.HeadPart(node)
		if parts[part] == nil {
			parts[part] = make(map[string]string, len(nonces)/contract.HeadParts+1)
		}
		parts[part][node] = nonce
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
