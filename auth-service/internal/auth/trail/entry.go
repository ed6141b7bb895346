package trail

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"

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
// was erased, the digest.
type Part struct {
	Erased bool
	Salt   [16]byte // zero once erased
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
		_, _ = rand.Read(made.Parts[i].Salt[:]) // never fails
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
	h := hmac.New(sha256.New, p.Salt[:])
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

// Erase takes a deleted account out of the entry: its id becomes the pseudonym,
// and from where it called is forgotten. It reports whether there was anything
// to erase. The hash of the entry stays what it was.
func (e *Entry) Erase(userID, pseudonym string) bool {
	actor, target := e.ActorID == userID, e.TargetID == userID
	if userID == "" || !actor && !target {
		return false
	}
	if actor || e.ActorID == "" {
		e.forget(Origin)
		e.SessionID, e.Address, e.UserAgent, e.RequestID = "", "", "", ""
	}
	if actor {
		e.forget(Actor)
		e.ActorID = pseudonym
	}
	if target {
		e.forget(Target)
		e.TargetID = pseudonym
	}
	return true
}

// forget keeps the digest of a part in place of its salt.
func (e *Entry) forget(part int) {
	if digest := e.digest(part); !e.Parts[part].Erased {
		e.Parts[part] = Part{Erased: true, Digest: digest}
	}
}

// wellErased reports whether what stands in erased parts is a pseudonym or
// nothing, and names the pseudonyms.
func (e *Entry) wellErased() (pseudonyms []string, ok bool) {
	for part, id := range map[int]string{Actor: e.ActorID, Target: e.TargetID} {
		if !e.Parts[part].Erased {
			continue
		}
		if !strings.HasPrefix(id, auth.PseudonymPrefix) {
			return nil, false
		}
		pseudonyms = append(pseudonyms, id)
	}
	if !e.Parts[Origin].Erased {
		return pseudonyms, true
	}
	return pseudonyms, len(pseudonyms) > 0 && e.SessionID+e.Address+e.UserAgent+e.RequestID == ""
}
