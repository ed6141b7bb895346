package revocation

import (
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// F32 I1 I9: a million live revocations fit into bounded memory, nothing makes
// room for itself among them, and each goes when its time has come and not before.
func TestSet_F32_a_million_entries_fit_and_none_is_lost(t *testing.T) {
	const size, perEntry = 1_000_000, 60
	mix := newEntryMix()
	entries := make([]contract.Entry, size)
	for n := range entries {
		entries[n] = mix.entry(n)
	}
	before := heap()
	s := NewSet()
	for n := range entries {
		s.Add(&entries[n])
	}
	if taken := heap() - before; taken > size*perEntry {
		t.Errorf("%d bytes an entry, want %d at most", taken/size, perEntry)
	}
	if s.Len() != size {
		t.Errorf("%d entries are held of %d", s.Len(), size)
	}
	sweep := func(now time.Time) {
		for part := range sweepParts {
			s.Sweep(part, now)
		}
	}
	half := start.Add(450*time.Second + time.Second/2)
	sweep(half)
	live := 0
	for n := range entries {
		e := &entries[n]
		if !e.ExpiresAt.After(half) {
			continue
		}
		live++
		c := contract.Claims{Version: 1, Refs: contract.Refs{Token: e.Subject, Session: e.Subject, User: e.Subject}}
		if s.Check(&c) != Revoked {
			t.Fatalf("entry %d is forgotten %v before its time", n, e.ExpiresAt.Sub(half))
		}
	}
	if held := s.Len(); held < live || held > live+2*size/900 { // they go by whole seconds
		t.Errorf("%d entries are held, %d are alive", held, live)
	}
	sweep(start.Add(time.Hour))
	if s.Len() != 0 {
		t.Errorf("%d entries are held when none is alive", s.Len())
	}
}
