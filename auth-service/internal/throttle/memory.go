package throttle

import (
	"sync"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// memory counts by the same algorithm in this process. It holds two
// generations of keys: what nobody touched while a whole generation filled up
// is forgotten, so that both together never hold more than a fixed number.
type memory struct {
	now        func() time.Time
	generation int // keys in one

	mu    sync.Mutex
	young map[string]time.Time // when all tries are free again
	old   map[string]time.Time
}

func newMemory(keys int, now func() time.Time) *memory {
	return &memory{now: now, generation: max(keys/2, 1), young: map[string]time.Time{}, old: map[string]time.Time{}}
}

// take counts under all bounds or under none.
func (m *memory) take(bounds []auth.Bound) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	s := state{refused: -1, used: make([]time.Duration, len(bounds))}
	for i, b := range bounds {
		s.used[i] = min(m.left(b.Key, now), burst(b)) + spacing(b)
		if over := s.used[i] - burst(b); over > s.wait {
			s.refused, s.wait = i, over
		}
	}
	if s.refused >= 0 {
		told := bounds[s.refused].Key + ":told"
		if s.fresh = m.left(told, now) == 0; s.fresh {
			m.keep(told, now.Add(reportEvery))
		}
		return s
	}
	for i, b := range bounds {
		m.keep(b.Key, now.Add(s.used[i]))
	}
	return s
}

// note keeps what Redis said, so that counting alone goes on from there.
func (m *memory) note(bounds []auth.Bound, s state) {
	if s.refused >= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for i, b := range bounds {
		m.keep(b.Key, now.Add(s.used[i]))
	}
}

func (m *memory) giveBack(bounds []auth.Bound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, b := range bounds {
		if left := m.left(b.Key, now); left > 0 {
			m.keep(b.Key, now.Add(left-spacing(b)))
		}
	}
}

func (m *memory) used(bounds []auth.Bound) []time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]time.Duration, len(bounds))
	for i, b := range bounds {
		out[i] = m.left(b.Key, m.now())
	}
	return out
}

func (m *memory) forget(bounds []auth.Bound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range bounds {
		delete(m.young, b.Key)
		delete(m.old, b.Key)
	}
}

// left is how long it takes until all tries of the key are free. The caller
// holds the lock.
func (m *memory) left(key string, now time.Time) time.Duration {
	free, known := m.young[key]
	if !known {
		free = m.old[key]
	}
	return max(0, free.Sub(now))
}

// keep writes a key into the young generation, which may become the old one.
// The caller holds the lock.
func (m *memory) keep(key string, free time.Time) {
	if _, known := m.young[key]; !known && len(m.young) >= m.generation {
		m.old, m.young = m.young, make(map[string]time.Time)
	}
	m.young[key] = free
}

// size is the number of keys that are held.
func (m *memory) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.young) + len(m.old)
}
