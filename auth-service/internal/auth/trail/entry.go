package trail

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"gatehouse.internal/auth-service/internal/auth"
)

// The parts of an event that hold personal data, each with a digest of its own.
const (
	Actor = iota
	Target
	Origin // session, address, user agent and request id
	Parts
)

// Part is what the chain knows of a part: the salt of its digest or, once it
// was erased, the digest, and the seal of what stands in its place.
type Part struct {
	Erased bool
	Proof  [16]byte // the salt, and the seal once erased
	Digest [32]byte // zero until erased
}

// Entry is an event with its place in the chain.
type Entry struct {
	auth.AuditEvent
	Number uint64
	Parts  [Parts]Part
	Hash   [32]byte
}

// Mark is a place in the chain: the number and the hash of an entry, or zero
// for what comes before the first. Seal proves who worked it out.
type Mark struct {
	Number uint64
	Hash   [32]byte
	Seal   []byte
}

// link gives the event the place after a mark, with fresh salts.
func link(after Mark, e auth.AuditEvent) Entry {
	made := Entry{AuditEvent: e, Number: after.Number + 1}
	for i := range made.Parts {
		_, _ = rand.Read(made.Parts[i].Proof[:]) // never fails
	}
	made.Hash = made.hash(after.Hash)
	return made
}

// version begins what is hashed, so that another form can never be taken for
// this one.
const version = "gatehouse audit entry, 1"

// hash works out the hash of the entry after one with the given hash.
func (e *Entry) hash(previous [32]byte) [32]byte {
	h := sha256.New()
	write(h, version, string(previous[:]), number(e.Number),
		e.ID, number(uint64(e.At.UnixMicro())), e.Event, e.Outcome, e.Reason)
	for part := range Parts {
		digest := e.digest(part)
		write(h, string(digest[:]))
	}
	return [32]byte(h.Sum(nil))
}

// digest is what the hash holds of a part.
func (e *Entry) digest(part int) [32]byte {
	p := &e.Parts[part]
	if p.Erased {
		return p.Digest
	}
	h := hmac.New(sha256.New, p.Proof[:])
	switch part {
	case Actor:
		write(h, "actor", e.ActorID)
	case Target:
		write(h, "target", e.TargetID)
	default:
		write(h, "origin", e.SessionID, e.Address, e.UserAgent, e.RequestID)
	}
	return [32]byte(h.Sum(nil))
}

// write adds texts with their lengths, so that no two lists of them are alike.
func write(h hash.Hash, texts ...string) {
	for _, t := range texts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(t)))
		_, _ = h.Write(size[:]) // a hash never fails
		_, _ = h.Write([]byte(t))
	}
}

func number(n uint64) string {
	var out [8]byte
	binary.BigEndian.PutUint64(out[:], n)
	return string(out[:])
}
