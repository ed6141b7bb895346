package token

import (
	"context"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
)

// cacheShards spreads the lock; a power of two that divides a byte's values.
const cacheShards = 16

// Cache verifies tokens as its Verifier does, and remembers which were good.
// It saves the check of the signature and nothing else: times are compared on
// every call, a change of the issuer's keys empties it, and revocation is not
// its business. It is keyed by a fingerprint of the whole token, so two tokens
// never share an entry, and it holds no token in clear.
type Cache struct {
	verifier *Verifier
	prints   *fingerprints
	shards   [cacheShards]cacheShard
}

// cached is a token that was good, and when it is good.
type cached struct {
	claims      *contract.Claims
	generation  uint64 // of the keys, read before the signature was checked
	from, until time.Time
}

// cacheShard keeps entries in two generations: when the young map is full it
// becomes the old one, and the old one is dropped. So the shard is bounded,
// and what is used again and again stays.
type cacheShard struct {
	mu    sync.RWMutex
	limit int // of each map
	young map[fingerprint]cached
	old   map[fingerprint]cached
}

// NewCache returns a Cache over v which holds at most size tokens, but no
// fewer than 32.
func NewCache(v *Verifier, size int) *Cache {
	c := &Cache{verifier: v, prints: newFingerprints()}
	for i := range c.shards {
		c.shards[i].limit = max(1, size/cacheShards/2)
		c.shards[i].young = make(map[fingerprint]cached)
	}
	return c
}

// Verify answers as Verifier.Verify does. The claims are shared between all
// callers with the same token: they must not be changed.
func (c *Cache) Verify(ctx context.Context, raw string) (*contract.Claims, error) {
	if len(raw) > MaxBytes {
		return c.verifier.Verify(ctx, raw)
	}
	key := c.prints.of(raw)
	shard := &c.shards[key[0]%cacheShards]
	generation := c.verifier.keys.Generation()
	if entry, ok := shard.get(&key); ok && entry.good(generation, c.verifier.now()) {
		return entry.claims, nil
	}
	claims, err := c.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	shard.put(&key, c.entry(claims, generation))
	return claims, nil
}

// entry notes for how long claims are good without another look.
func (c *Cache) entry(claims *contract.Claims, generation uint64) cached {
	from := claims.IssuedAt
	if claims.NotBefore.After(from) {
		from = claims.NotBefore
	}
	leeway := c.verifier.settings.Leeway
	return cached{claims: claims, generation: generation, from: from.Add(-leeway), until: claims.ExpiresAt.Add(leeway)}
}

// good reports whether the entry may answer now. An entry made with other keys
// never may; it stays until it is overwritten or falls out.
func (e *cached) good(generation uint64, now time.Time) bool {
	return e.generation == generation && !now.Before(e.from) && now.Before(e.until)
}

func (s *cacheShard) get(key *fingerprint) (cached, bool) {
	s.mu.RLock()
	entry, ok := s.young[*key]
	if ok {
		s.mu.RUnlock()
		return entry, true
	}
	entry, ok = s.old[*key]
	s.mu.RUnlock()
	if ok {
		s.put(key, entry)
	}
	return entry, ok
}

func (s *cacheShard) put(key *fingerprint, entry cached) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.young[*key]; !known && len(s.young) >= s.limit {
		s.old, s.young = s.young, make(map[fingerprint]cached, s.limit)
	}
	s.young[*key] = entry
}

// Len returns how many tokens are held, for metrics.
func (c *Cache) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.young) + len(s.old)
		s.mu.RUnlock()
	}
	return n
}
