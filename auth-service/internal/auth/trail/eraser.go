package trail

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"

	"gatehouse.internal/auth-service/internal/auth"
)

// eraser takes deleted accounts out of entries, and knows what it has done by
// seals: whoever can write to the database alone cannot have somebody else's
// entries pass for those of a deleted account. Its key stays the same for as
// long as there is the trail; the database holds it encrypted. One without a
// key has erased nothing.
type eraser struct{ key []byte }

// erase takes a deleted account out of the entry: its id becomes the pseudonym,
// and from where it called is forgotten. It reports whether there was anything
// to erase. The hash of the entry stays what it was. What is marked as erased
// already is left as it is: not everything that stands there is our doing.
func (x eraser) erase(e *Entry, a auth.Erasure) bool {
	actor := e.ActorID == a.UserID && !e.Parts[Actor].Erased
	target := e.TargetID == a.UserID && !e.Parts[Target].Erased
	if a.UserID == "" || !actor && !target {
		return false
	}
	if (actor || e.ActorID == "") && !e.Parts[Origin].Erased {
		digest := e.digest(Origin)
		e.SessionID, e.Address, e.UserAgent, e.RequestID = "", "", "", ""
		x.forget(e, Origin, digest)
	}
	if actor {
		digest := e.digest(Actor)
		e.ActorID = a.Pseudonym
		x.forget(e, Actor, digest)
	}
	if target {
		digest := e.digest(Target)
		e.TargetID = a.Pseudonym
		x.forget(e, Target, digest)
	}
	return true
}

// forget keeps the digest of a part in place of its salt, and seals what stands
// there now.
func (x eraser) forget(e *Entry, part int, digest [32]byte) {
	e.Parts[part] = Part{Erased: true, Digest: digest}
	e.Parts[part].Proof = x.seal(e, part)
}

// seal proves that what stands in an erased part of this entry is what we put
// there.
func (x eraser) seal(e *Entry, part int) [16]byte {
	h := hmac.New(sha256.New, x.key)
	digest := e.Parts[part].Digest
	write(h, "gatehouse audit erasure, 1", number(e.Number), number(uint64(part)), string(digest[:]))
	switch part {
	case Actor:
		write(h, e.ActorID)
	case Target:
		write(h, e.TargetID)
	default:
		write(h, e.SessionID, e.Address, e.UserAgent, e.RequestID)
	}
	return [16]byte(h.Sum(nil))
}

// wellErased reports whether what stands in erased parts is a pseudonym or
// nothing, and was put there by us, and names the pseudonyms.
func (x eraser) wellErased(e *Entry) (pseudonyms []string, ok bool) {
	for part := range e.Parts {
		if !e.Parts[part].Erased {
			continue
		}
		want := x.seal(e, part)
		if len(x.key) == 0 || !hmac.Equal(want[:], e.Parts[part].Proof[:]) {
			return nil, false
		}
	}
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
