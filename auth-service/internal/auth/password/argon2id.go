package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
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
	use     phc // parameters of new hashes
	slots   chan struct{}
	waiting atomic.Int64
	most    int64
	random  io.Reader
	legacy  atomic.Int64 // the highest cost of bcrypt hashes that are stored; 0: there are none
}

// NewArgon2id returns a hasher, or an error for parameters that are out of
// bounds.
func NewArgon2id(s Settings) (*Argon2id, error) {
	use := phc{memory: or(s.Memory, DefaultMemory), passes: or(s.Passes, DefaultPasses), threads: or(s.Threads, DefaultThreads)}
	if err := use.check(); err != nil {
		return nil, err
	}
	concurrent := or(s.Concurrent, runtime.GOMAXPROCS(0))
	waiting := or(s.Waiting, waitingPerSlot*concurrent)
	if concurrent < 1 || waiting < 0 {
		return nil, errors.New("argon2id: the bounds of the queue must be positive")
	}
	h := &Argon2id{use: use, slots: make(chan struct{}, concurrent), most: int64(waiting), random: s.Random}
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
	p := h.use
	p.salt = make([]byte, saltSize)
	if _, err := io.ReadFull(h.random, p.salt); err != nil {
		return "", fmt.Errorf("draw a salt: %w", err)
	}
	key, err := h.derive(ctx, p, keySize, password)
	if err != nil {
		return "", err
	}
	p.key = key
	return p.String(), nil
}

// Matches reports whether the password is the one that encoded was made from.
// An empty encoded text matches nothing, after the same work, so that the time
// does not tell whether there is an account. A hash of bcrypt, as it was
// imported, is compared as well; see ExpectBcrypt.
func (h *Argon2id) Matches(ctx context.Context, encoded, password string) (bool, error) {
	p := h.use
	p.salt, p.key = make([]byte, saltSize), make([]byte, keySize)
	cost, legacyHash := 0, ""
	var err error
	switch {
	case isBcrypt(encoded):
		legacyHash = encoded
		cost, err = bcryptCost(encoded)
	case encoded != "":
		p, err = parsePHC(encoded)
	}
	if err != nil {
		return false, fmt.Errorf("read stored password hash: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return false, err
	}
	defer h.release()
	key := argon2.IDKey([]byte(normal(password)), p.salt, p.passes, p.memory, p.threads, uint32(len(p.key)))
	if most := max(int(h.legacy.Load()), cost); most > 0 {
		same, err := matchesBcrypt(legacyHash, cost, most, password)
		if cost > 0 {
			return same, err
		}
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1 && encoded != "", nil
}

// ExpectBcrypt tells the highest cost of the bcrypt hashes that are stored, 0
// if there are none. As long as there are, every comparison takes the time of
// Argon2id and that of bcrypt, so that the time does not tell which accounts
// were imported and have not signed in since.
func (h *Argon2id) ExpectBcrypt(cost int) { h.legacy.Store(int64(min(max(cost, 0), MostBcryptCost))) }

// Outdated reports whether encoded was made with other parameters than Hash
// uses now.
func (h *Argon2id) Outdated(encoded string) bool {
	p, err := parsePHC(encoded)
	return err != nil || p.memory != h.use.memory || p.passes != h.use.passes || p.threads != h.use.threads ||
		len(p.key) != keySize || len(p.salt) < saltSize
}

// derive works out the key in the caller's goroutine once a slot is free. The
// slot is held until the work is done, whatever becomes of ctx: a client that
// goes away does not make room for another one while its hash still uses the
// memory.
func (h *Argon2id) derive(ctx context.Context, p phc, size uint32, password string) ([]byte, error) {
	if err := h.acquire(ctx); err != nil {
		return nil, err
	}
	defer h.release()
	return argon2.IDKey([]byte(normal(password)), p.salt, p.passes, p.memory, p.threads, size), nil
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
