package sequencer

import (
	"encoding/json"
	"strings"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// sabotage takes one of the protocol's rules out, by changing what passes a
// seam. The code under test has no such switches.
type sabotage struct {
	noGapCheck    bool // a batch says that the numbers before it do not matter
	noEcho        bool // a head seems to echo the newest nonce of whoever gets it
	reusedNonces  bool // a node's lives use the same nonces, and the same name
	lateNonces    bool // a head echoes what has been received when it is sent
	lateRedisTime bool // a proof names the time at which it is written
	hiddenRestore bool // a database that was restored cannot be told from before
	sameVersions  bool // a database that was restored gives out versions again
	lateVersions  bool // it does so until the sequencer has opened an epoch
}

// batchReceived changes a batch on its way into a view.
func (s sabotage) batchReceived(w *world, sealed []byte) []byte {
	if !s.noGapCheck {
		return sealed
	}
	b := w.batchIn(sealed)
	b.Oldest = max(b.Oldest, b.First)
	return w.seal(revocation.PurposeBatch, b.Encode())
}

// headReceived changes a head on its way into a view.
func (s sabotage) headReceived(n *node, sealed []byte) []byte {
	switch {
	case s.noEcho:
		return n.w.changeHead(sealed, func(h *contract.Head) { h.Nonces = map[string]string{n.name: n.newest} })
	case s.reusedNonces:
		return n.w.changeHead(sealed, func(h *contract.Head) {
			h.Nonces = map[string]string{n.name: n.byCount[h.Nonces[n.name]]}
		})
	}
	return sealed
}

// reportSent changes a report on its way out of a node.
func (s sabotage) reportSent(n *node, data []byte) []byte {
	var r contract.Report
	if err := json.Unmarshal(data, &r); err != nil {
		panic(err)
	}
	n.newest = r.Nonce
	if !s.reusedNonces {
		return data
	}
	_, count, _ := strings.Cut(r.Nonce, "-")
	n.byCount[count] = r.Nonce
	r.Nonce, r.Process = count, ""
	return encoded(r)
}

// headSent changes a head on its way out of a sequencer.
func (s sabotage) headSent(w *world, sealed []byte) []byte {
	if !s.lateNonces {
		return sealed
	}
	return w.changeHead(sealed, func(h *contract.Head) {
		for _, r := range w.replicas {
			if r.s.id == h.Sequencer {
				h.Nonces = r.s.Presence.snapshot().nonces
			}
		}
	})
}

// proofWritten changes a proof on its way into Redis.
func (s sabotage) proofWritten(w *world, sealed string) string {
	if !s.lateRedisTime {
		return sealed
	}
	var proof revocation.RedisProof
	if err := json.Unmarshal(w.open(revocation.PurposeProof, []byte(sealed)), &proof); err != nil {
		panic(err)
	}
	proof.At = w.redis.clock.Now().UnixMicro()
	return string(w.seal(revocation.PurposeProof, encoded(proof)))
}

func (w *world) changeHead(sealed []byte, change func(*contract.Head)) []byte {
	var h contract.Head
	if err := json.Unmarshal(w.open(revocation.PurposeHead, sealed), &h); err != nil {
		panic(err)
	}
	change(&h)
	return w.seal(revocation.PurposeHead, encoded(h))
}

func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
