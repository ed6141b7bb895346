package revocation

import (
	"hash/maphash"
	"testing"

	"pgregory.net/rapid"

	"gatehouse.internal/shared/contract"
)

// A table holds what a Go map holds, whatever is added and swept in between.
func TestTable_is_a_map(t *testing.T) {
	seed := maphash.MakeSeed()
	rapid.Check(t, func(t *rapid.T) {
		var (
			got  table[uint32]
			want = map[contract.SubjectID]uint32{}
		)
		subject := rapid.IntRange(0, 60)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				key, value := id(subject.Draw(t, "subject")), rapid.Uint32Range(1, 9).Draw(t, "value")
				known := got.at(seed, &key)
				if *known != want[key] {
					t.Fatalf("the value is %d before %d is added, want %d", *known, value, want[key])
				}
				*known, want[key] = value, value
			},
			"sweep": func(t *rapid.T) {
				limit := rapid.Uint32Range(0, 10).Draw(t, "limit")
				got.sweep(seed, func(v *uint32) bool { return *v < limit })
				for key, value := range want {
					if value < limit {
						delete(want, key)
					}
				}
			},
			"": func(t *rapid.T) {
				if got.live != len(want) {
					t.Fatalf("%d entries, want %d", got.live, len(want))
				}
				for n := range 62 {
					key := id(n)
					value, known := want[key]
					found := got.find(hashOf(seed, &key), &key)
					if known != (found != nil) || known && *found != value {
						t.Fatalf("subject %d: found %v, want %d, %v", n, found, value, known)
					}
				}
			},
		})
	})
}

// Subjects whose hashes are all the same are slow to find, and still found.
func TestTable_keeps_subjects_apart_that_meet_in_one_place(t *testing.T) {
	var crowded table[uint32]
	crowded.make(100)
	const hash = 1<<64 - 1 // in the last group, so that the search goes round
	keys := indexes(60)
	for _, n := range keys {
		key := id(n)
		*crowded.place(hash, &key) = uint32(n)
	}
	for _, n := range keys {
		key := id(n)
		if v := crowded.find(hash, &key); v == nil || *v != uint32(n) {
			t.Errorf("subject %d: found %v", n, v)
		}
	}
	stranger := id(1000)
	if crowded.find(hash, &stranger) != nil {
		t.Error("found what is not there")
	}
}

func TestTable_gives_memory_back_and_does_not_grow_by_what_was_removed(t *testing.T) {
	seed := maphash.MakeSeed()
	var tb table[uint32]
	most := 0
	for n := range 20_000 { // 500 are alive at a time
		key := id(n)
		*tb.at(seed, &key) = uint32(n)
		if n%100 == 0 {
			tb.sweep(seed, func(v *uint32) bool { return int(*v) < n-500 })
		}
		most = max(most, len(tb.tags))
	}
	if most > 2000 {
		t.Errorf("%d slots for 600 entries", most)
	}
	tb.sweep(seed, func(*uint32) bool { return true })
	if len(tb.tags) > 0 || tb.live != 0 {
		t.Errorf("%d slots for %d entries", len(tb.tags), tb.live)
	}
}
