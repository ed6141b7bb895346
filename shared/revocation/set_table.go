package revocation

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"gatehouse.internal/shared/contract"
)

// table is a hash table from subjects to values. It stands in for a Go map,
// because nearly all look-ups are of subjects that are not there: here these
// touch the tags only, one byte for each slot, which stay in the processor's
// caches where the slots of a million entries cannot. It also grows by half
// instead of doubling, so that the worst size costs less memory. It is not safe
// for concurrent use.
type table[V any] struct {
	// tags has a byte for each slot: free, gone, or 8 bits of the hash. A group
	// of 8 slots is searched at once; entries that do not fit into theirs are in
	// the next one that has room.
	tags  []byte
	slots []slot[V]
	live  int
	taken int // live, and those that are gone
}

type slot[V any] struct {
	key   contract.SubjectID
	value V
}

const (
	group   = 8
	free    = 0
	gone    = 1 // was removed; what lies behind it must still be found
	minTag  = 2
	ones    = 0x0101010101010101
	highest = 0x8080808080808080
)

// hashOf is seeded anew in each process, so that nobody can choose subjects that
// meet in one place.
func hashOf(seed maphash.Seed, key *contract.SubjectID) uint64 { return maphash.Bytes(seed, key[:]) }

// tagOf uses other bits of the hash than shard and group do.
func tagOf(hash uint64) byte { return byte(max(hash>>16&0xff, minTag)) }

// find gives the value of a key, or nil. The value is valid until the table
// changes.
func (t *table[V]) find(hash uint64, key *contract.SubjectID) *V {
	if len(t.tags) == 0 {
		return nil
	}
	tag := uint64(tagOf(hash)) * ones
	for at := t.first(hash); ; {
		word := binary.LittleEndian.Uint64(t.tags[at:])
		// A byte of match is high where the tag is equal, and in rare cases where
		// it is not: the key decides.
		for match := zeros(word ^ tag); match != 0; match &= match - 1 {
			if s := &t.slots[at+bits.TrailingZeros64(match)/8]; s.key == *key {
				return &s.value
			}
		}
		if zeros(word) != 0 {
			return nil // there is room in this group: it never overflowed
		}
		if at += group; at == len(t.tags) {
			at = 0
		}
	}
}

// first is the slot at which the search begins.
func (t *table[V]) first(hash uint64) int {
	n, _ := bits.Mul64(hash, uint64(len(t.tags)/group))
	return int(n) * group
}

// zeros has the highest bit of each byte set that is 0. Above such a byte it
// may be wrong about others; that there is none it never says wrongly.
func zeros(word uint64) uint64 { return (word - ones) &^ word & highest }

// at gives the value of a key, which is the zero value if the key is new. The
// value is valid until the table changes.
func (t *table[V]) at(seed maphash.Seed, key *contract.SubjectID) *V {
	h := hashOf(seed, key)
	if v := t.find(h, key); v != nil {
		return v
	}
	// An eighth of the slots stays free, so that a search ends soon.
	if t.taken+1 > len(t.tags)/group*(group-1) {
		t.resize(seed)
	}
	t.live++
	t.taken++
	return t.place(h, key)
}

// place takes the first free slot for a key that is not there.
func (t *table[V]) place(hash uint64, key *contract.SubjectID) *V {
	at := t.first(hash)
	for t.tags[at] != free {
		if at++; at == len(t.tags) {
			at = 0
		}
	}
	t.tags[at] = tagOf(hash)
	t.slots[at].key = *key
	return &t.slots[at].value
}

// resize moves the live entries to a table that has room for half as many more.
func (t *table[V]) resize(seed maphash.Seed) {
	old := *t
	t.make(old.live + old.live/2)
	t.live, t.taken = old.live, old.live
	for i, tag := range old.tags {
		if tag >= minTag {
			s := &old.slots[i]
			*t.place(hashOf(seed, &s.key), &s.key) = s.value
		}
	}
}

// make gives an empty table room for so many entries, and at least one more.
func (t *table[V]) make(room int) {
	groups := room/(group-1) + 1
	t.tags, t.slots = make([]byte, groups*group), make([]slot[V], groups*group)
}

// sweep removes the entries for which expired is true, and gives memory back
// when most of it is no longer needed.
func (t *table[V]) sweep(seed maphash.Seed, expired func(v *V) bool) {
	for i, tag := range t.tags {
		if tag >= minTag && expired(&t.slots[i].value) {
			t.tags[i] = gone
			t.live--
		}
	}
	switch {
	case t.live == 0:
		*t = table[V]{}
	case len(t.tags) > group && t.live < len(t.tags)/4:
		t.resize(seed)
	}
}
