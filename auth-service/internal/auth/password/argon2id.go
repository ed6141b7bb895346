package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"gatehouse.internal/shared/fault"
)

// Defaults of Settings: OWASP's least parameters for Argon2id.
const (
	DefaultMemory  = 19456 // KiB
	DefaultPasses  = 2
	DefaultThreads = 1
	waitingPerSlot = 64
)

const (
	saltSize = 16
	keySize  = 32
)

// Settings of Argon2id. Zero fields take the defaults.
type Settings struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
	// Concurrent bounds how many hashes are worked out at once (and so the
	// memory for it): by default one a core. Waiting bounds how many callers
	// may queue for their turn: by default 64 for each of Concurrent.
	Concurrent, Waiting int
	Random              io.Reader // crypto/rand.Reader by default
}

// Argon2id hashes passwords with Argon2id (RFC 9106). It fulfils auth.Hasher.
type Argon2id struct {
	use      parameters // of new hashes
	slots    chan struct{}
	waiting  atomic.Int64
	most     int64
	random   io.Reader
	expected atomic.Pointer[expectation]
	idKey    func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte
}

// NewArgon2id returns a hasher, or an error for parameters that are out of
// bounds.
func NewArgon2id(s Settings) (*Argon2id, error) {
	use := parameters{memory: or(s.Memory, DefaultMemory), passes: or(s.Passes, DefaultPasses), threads: or(s.Threads, DefaultThreads)}
	if err := use.check(); err != nil {
		return nil, err
	}
	concurrent := or(s.Concurrent, runtime.GOMAXPROCS(0))
	waiting := or(s.Waiting, waitingPerSlot*concurrent)
	if concurrent < 1 || waiting < 0 {
		return nil, errors.New("argon2id: the bounds of the queue must be positive")
	}
	h := &Argon2id{use: use, slots: make(chan struct{}, concurrent), most: int64(waiting), random: s.Random, idKey: argon2.IDKey}
	h.Expect(Stored{})
	if h.random == nil {
		h.random = rand.Reader
	}
	return h, nil
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Hash returns a PHC string for the password, with a fresh salt.
func (h *Argon2id) Hash(ctx context.Context, password string) (string, error) {
	p := phc{parameters: h.use, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(h.random, p.salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	// The slot is held until the work is done, whatever becomes of ctx: a client
	// that goes away does not make room for another one while its hash still uses
	// the memory.
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	p.key = h.derive(p, keySize, normal(password))
	return p.String(), nil
}

func (h *Argon2id) derive(p phc, size int, password string) []byte {
	return h.idKey([]byte(password), p.salt, p.passes, p.memory, p.threads, uint32(size)) //nolint:gosec // 64 at most
}

// Matches reports whether the password is the one that encoded was made from.
// An empty encoded text matches nothing, after the same work, so that the time
// does not tell whether there is an account. A hash that was imported, of bcrypt
// or of Argon2id with other parameters, is compared as well; see Expect.
func (h *Argon2id) Matches(ctx context.Context, encoded, password string) (bool, error) {
	stored := phc{parameters: h.use}
	cost, ofBcrypt := 0, ""
	var err error
	switch {
	case isBcrypt(encoded):
		ofBcrypt = encoded
		cost, err = bcryptCost(encoded)
	case encoded != "":
		stored, err = parsePHC(encoded)
	}
	if err != nil {
		return false, fmt.Errorf("read stored password hash: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	expected := h.expected.Load()
	matches := h.compare(stored, expected, normal(password))
	if most := max(expected.bcryptCost, cost); most > 0 {
		same, err := matchesBcrypt(ofBcrypt, cost, most, password)
		if cost > 0 {
			return same, err
		}
	}
	return matches, nil
}

// Outdated reports whether encoded was made with other parameters than Hash
// uses now.
func (h *Argon2id) Outdated(encoded string) bool {
	p, err := parsePHC(encoded)
	return err != nil || p.parameters != h.use || len(p.key) != keySize || len(p.salt) < saltSize
}

func (h *Argon2id) release() { <-h.slots }

func (h *Argon2id) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.most {
		return overloaded(nil)
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return overloaded(ctx.Err())
	}
}

func overloaded(cause error) error {
	f := fault.Wrap(fault.Overloaded, "Too many passwords are being checked right now.", cause)
	f.RetryAfter = time.Second
	return f
}
