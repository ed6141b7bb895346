package revocation

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// View is what one node knows: the set of revocations, and the progress that
// says how complete it is. It takes in sealed messages and does no input or
// output of its own.
type View struct {
	Set      *Set
	Progress *Progress
	Node     string // this node's id
	Keys     EventKeys
	// Applied is told of the entries of a batch once the set holds them, so
	// that what goes on for long can end without asking again and again. It may
	// be told of an entry more than once. It must not block, change or keep the
	// entries, and is set before the first message is taken in. It may be nil.
	Applied func(entries []contract.Entry)

	process string       // tells it from others that were given the same id
	crowd   atomic.Int64 // how many nodes there are, by the newest head
}

// NewView returns an empty view of the node.
func NewView(node string, keys EventKeys, now func() time.Time) *View {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return &View{Set: NewSet(), Progress: NewProgress(now), Node: node, Keys: keys, process: hex.EncodeToString(random[:])}
}

// echo is the nonce for this node in a head. An auth-service that does not know
// of processes goes by the id of the node alone.
func (v *View) echo(h *contract.Head) string {
	if nonce, has := h.Nonces[contract.Reporter(v.Node, v.process)]; has {
		return nonce
	}
	return h.Nonces[v.Node]
}

// TakeBatch opens a sealed batch, adds its entries and moves the watermark. It
// reports whether the watermark rose, and the batch. A message that cannot be
// trusted or understood changes nothing and gives an error.
func (v *View) TakeBatch(message []byte) (contract.Batch, bool, error) {
	payload, err := Open(PurposeBatch, v.Keys, message)
	if err != nil {
		return contract.Batch{}, false, err
	}
	b, err := contract.DecodeBatch(payload)
	if err != nil {
		return contract.Batch{}, false, fmt.Errorf("decode batch: %w", err)
	}
	for i := range b.Entries {
		v.Set.Add(&b.Entries[i])
	}
	if v.Applied != nil && len(b.Entries) > 0 {
		v.Applied(b.Entries)
	}
	return b, v.Progress.Applied(&b), nil
}

// TakeHead opens a sealed head and takes in what it proves.
func (v *View) TakeHead(message []byte) (Outcome, error) {
	payload, err := Open(PurposeHead, v.Keys, message)
	if err != nil {
		return HeadSeen, err
	}
	var h contract.Head
	if err := json.Unmarshal(payload, &h); err != nil {
		return HeadSeen, fmt.Errorf("decode head: %w", err)
	}
	if h.V != contract.HeadVersion {
		return HeadSeen, fmt.Errorf("head version %d: %w", h.V, contract.ErrNewerFormat)
	}
	v.crowd.Store(int64(h.Nodes))
	return v.Progress.Head(&h, v.echo(&h)), nil
}

// Reason puts an error of TakeBatch or TakeHead into one of a few words, for a
// metric.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrForged):
		return "forged"
	case errors.Is(err, ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, contract.ErrNewerFormat):
		return "newer_format"
	}
	return "malformed"
}
