package password

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/argon2"
)

// spend counts the work of a hasher by kind, in the place of doing it where it
// is costly.
func spend(h *Argon2id) func() []string {
	var mu sync.Mutex
	var done []string
	h.idKey = func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte {
		mu.Lock()
		defer mu.Unlock()
		done = append(done, parameters{memory, passes, threads}.prefix())
		return argon2.IDKey(password, salt, 1, 8, 1, size)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		out := done
		done = nil
		slices.Sort(out)
		return out
	}
}

// other makes a hash with the given parameters, as another system had it.
func other(t *testing.T, memory, passes uint32, threads uint8) string {
	t.Helper()
	h := cheap(t, func(s *Settings) { s.Memory, s.Passes, s.Threads = memory, passes, threads })
	spend(h)
	hash, err := h.Hash(t.Context(), "a rather long passphrase 77")
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestArgon2id_SW6_aComparisonIsTheSameWorkForEveryHashThatIsStored(t *testing.T) {
	h := cheap(t)
	work := spend(h)
	own, err := h.Hash(t.Context(), "a rather long passphrase 77")
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{
		"of our own": own, "of an argon2-cffi": other(t, 65536, 3, 4), "of a libsodium": other(t, 262144, 3, 1), "of a Django": other(t, 102400, 2, 8),
	}
	var kinds, want []string
	for _, hash := range stored {
		kinds = append(kinds, Kind(hash))
		want = append(want, Kind(hash))
	}
	slices.Sort(want)
	h.Expect(Stored{Argon2id: append(kinds, "$argon2id$v=19$m=1,t=1,p=1$", "nonsense")})
	work()
	stored["of nobody"] = ""
	for name, hash := range stored {
		for _, password := range []string{"a rather long passphrase 77", "wrong"} {
			got, err := h.Matches(t.Context(), hash, password)
			if right := hash != "" && password != "wrong"; got != right || err != nil {
				t.Errorf("%q against a hash %s: %v, %v; want %v", password, name, got, err, right)
			}
			if diff := cmp.Diff(want, work()); diff != "" {
				t.Errorf("%q against a hash %s is other work than it is for the rest (-want +got):\n%s", password, name, diff)
			}
		}
	}
	if got, err := h.Matches(t.Context(), imported(t, "hunter2", 4), "hunter2"); !got || err != nil {
		t.Errorf("against a hash of bcrypt: %v, %v", got, err)
	}
	if diff := cmp.Diff(want, work()); diff != "" {
		t.Errorf("a hash of bcrypt is other work (-want +got):\n%s", diff)
	}
	h.Expect(Stored{Argon2id: []string{Kind(own)}})
	if _, err := h.Matches(t.Context(), "", "wrong"); err != nil || len(work()) != 1 {
		t.Errorf("once all imported hashes are replaced, work is still done for them (%v)", err)
	}
	late := stored["of an argon2-cffi"] // imported since anybody looked
	if got, err := h.Matches(t.Context(), late, "a rather long passphrase 77"); !got || err != nil {
		t.Errorf("a hash that nobody expected: %v, %v", got, err)
	}
}

func TestArgon2id_SW5_importedHashesShareTheirMemory(t *testing.T) {
	hash := other(t, 262144, 3, 1)
	synctest.Test(t, func(t *testing.T) {
		h := cheap(t, func(s *Settings) { s.Concurrent = 16 })
		h.Expect(Stored{Argon2id: []string{Kind(hash)}})
		var memory atomic.Int64
		done := make(chan struct{})
		h.idKey = func(_, _ []byte, _, kib uint32, _ uint8, size uint32) []byte {
			if kib == 262144 {
				memory.Add(int64(kib))
				<-done
			}
			return make([]byte, size)
		}
		for range 16 {
			go func() {
				if _, err := h.Matches(t.Context(), hash, "wrong"); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait() // everybody is at work, or waits for room
		if got := memory.Load(); got != otherMemory {
			t.Errorf("%d KiB of memory are in use at once, want %d", got, otherMemory)
		}
		close(done)
		synctest.Wait()
		if got := memory.Load(); got != 16*262144 {
			t.Errorf("%d KiB were used in all, want that of 16 comparisons", got)
		}
	})
}

func TestCheckHash_refusesArgon2idThatIsRuinous(t *testing.T) {
	const phc = "$argon2id$v=19$%s$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for text, want := range map[string]string{
		"m=262144,t=3,p=1":   "",
		"m=65536,t=12,p=16":  "",
		"m=65536,t=13,p=4":   "13 passes over 65536 KiB of memory are more than 786432 KiB in all",
		"m=1048576,t=64,p=1": "1048576 KiB of memory are not within 7168 and 262144",
		"m=65536,t=3,p=17":   "17 threads are not within 1 and 16",
		"m=65536,t=3,p=4x":   "neither",
		"m=+65536,t=3,p=4":   "neither",
		"m=065536,t=3,p=4":   "neither",
	} {
		err := CheckHash(fmt.Sprintf(phc, text))
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
