package revocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gatehouse.internal/shared/contract"
)

// openedProof remembers the proof that was read last, so that the same bytes
// are not verified again, and when this process has first seen it.
type openedProof struct {
	sealed string
	proof  RedisProof
	seen   time.Time     // by this process's clock
	age    time.Duration // by Redis's clock, when it was first seen
}

// age is how old Redis's knowledge is, by Redis's clock. If that clock is set
// back, it is as old as it was when this process first saw the proof, and the
// time since then.
func (r *Redis) age(a redisAnswer, epoch uint64) (time.Duration, error) {
	if a.proof == "" || a.epoch == "" {
		return 0, errors.New("redis has no proof of how complete it is")
	}
	opened, err := r.opened(a)
	if err != nil {
		return 0, err
	}
	proof := opened.proof
	last, err := strconv.ParseUint(a.last, 10, 64)
	if err != nil || a.epoch != strconv.FormatUint(proof.Epoch, 10) || last < proof.Last {
		return 0, fmt.Errorf("redis proves number %d of epoch %d but holds %.20q of %.20q", proof.Last, proof.Epoch, a.last, a.epoch)
	}
	if proof.Epoch < epoch {
		return 0, fmt.Errorf("redis holds epoch %d, the newest is %d", proof.Epoch, epoch)
	}
	age := a.at.Sub(time.UnixMicro(proof.At))
	if age < 0 {
		return 0, errors.New("the clock of redis went back")
	}
	return max(age, opened.age+a.asked.Sub(opened.seen)), nil
}

// opened verifies the proof of an answer, unless it is the one of the last.
func (r *Redis) opened(a redisAnswer) (*openedProof, error) {
	if last := r.proof.Load(); last != nil && last.sealed == a.proof {
		return last, nil
	}
	payload, err := Open(PurposeProof, r.signers, []byte(a.proof))
	if err != nil {
		return nil, err
	}
	var proof RedisProof
	if err := json.Unmarshal(payload, &proof); err != nil || proof.V != proofFormat {
		return nil, fmt.Errorf("decode redis proof of version %d: %w", proof.V, errors.Join(err, contract.ErrNewerFormat))
	}
	opened := &openedProof{sealed: a.proof, proof: proof, seen: a.asked, age: a.at.Sub(time.UnixMicro(proof.At))}
	r.proof.Store(opened)
	return opened, nil
}
