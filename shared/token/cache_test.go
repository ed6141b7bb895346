package token_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// countingKeys counts look-ups, one for each check of a signature, and lets
// tests change the set.
type countingKeys struct {
	mu         sync.Mutex
	set        *token.Set
	generation uint64
	lookups    atomic.Int64
}

func (k *countingKeys) Key(ctx context.Context, kid string) (token.Key, error) {
	k.lookups.Add(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set.Key(ctx, kid)
}

func (k *countingKeys) Generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

func (k *countingKeys) change(set *token.Set) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set = set
	k.generation++
}

// clock is a time that tests move.
type clock struct{ at atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.at.Store(t.UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) move(d time.Duration) { c.at.Add(int64(d)) }

func newCache(t *testing.T, size int) (*token.Cache, *tokentest.Issuer, *countingKeys, *clock) {
	t.Helper()
	issuer := tokentest.New(t, token.AlgEdDSA)
	keys := &countingKeys{set: issuer.Set(t)}
	at := newClock(noon())
	verifier, err := token.NewVerifier(tokentest.Settings(), keys, at.now)
	if err != nil {
		t.Fatal(err)
	}
	return token.NewCache(verifier, size), issuer, keys, at
}

func TestCache_ChecksASignatureOnce(t *testing.T) {
	cache, issuer, keys, _ := newCache(t, 100)
	raw := issuer.Token(tokentest.Claims(noon()))
	for range 5 {
		if _, err := cache.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys.lookups.Load(); got != 1 {
		t.Errorf("the signature was checked %d times, want once", got)
	}
}

func TestVerifier_S_T4_LongKidsAreNotLookedFor(t *testing.T) {
	cache, issuer, keys, _ := newCache(t, 100)
	for length, want := range map[int]int64{128: 1, 129: 0, 4000: 0} {
		keys.lookups.Store(0)
		mustRefuse(t, cache, head("kid", strings.Repeat("k", length))(newMint(issuer, noon())), fault.TokenInvalid)
		if got := keys.lookups.Load(); got != want {
			t.Errorf("a kid of %d bytes made %d look-ups, want %d", length, got, want)
		}
	}
}

func TestCache_S_V5_ComparesTimesOnEveryCall(t *testing.T) {
	cache, issuer, _, at := newCache(t, 100)
	raw := issuer.Token(tokentest.Claims(noon()))
	steps := []struct {
		name string
		move time.Duration
		want fault.Kind
	}{
		{"now", 0, ""},
		{"just before exp and leeway", 15*time.Minute + 30*time.Second - time.Nanosecond, ""},
		{"at exp and leeway", time.Nanosecond, fault.TokenExpired},
		{"the clock was set back", -time.Minute, ""},
		{"the clock was set back to before iat", -20 * time.Minute, fault.TokenInvalid},
	}
	for _, s := range steps {
		at.move(s.move)
		if _, err := cache.Verify(t.Context(), raw); fault.KindOf(err) != s.want {
			t.Errorf("%s: got %v, want %q", s.name, err, s.want)
		}
	}
}

func TestCache_HonoursNotBefore(t *testing.T) {
	cache, issuer, _, at := newCache(t, 100)
	claims := tokentest.Claims(noon())
	claims.NotBefore = noon().Add(20 * time.Second)
	raw := issuer.Token(claims)
	if _, err := cache.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	at.move(-11 * time.Second)
	mustRefuse(t, cache, raw, fault.TokenInvalid)
}

func TestCache_S_V5_IsEmptyAfterAChangeOfKeys(t *testing.T) {
	cache, issuer, keys, _ := newCache(t, 100)
	raw := issuer.Token(tokentest.Claims(noon()))
	if _, err := cache.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	keys.change(tokentest.New(t, token.AlgEdDSA).Set(t))
	mustRefuse(t, cache, raw, fault.TokenInvalid)
	keys.change(issuer.Set(t))
	if _, err := cache.Verify(t.Context(), raw); err != nil {
		t.Errorf("the key came back, but: %v", err)
	}
}

func TestCache_DoesNotShareEntriesBetweenTokens(t *testing.T) {
	cache, issuer, _, _ := newCache(t, 100)
	a, b := tokentest.Claims(noon()), tokentest.Claims(noon())
	b.Subject = "somebody-else"
	for range 2 {
		gotA, errA := cache.Verify(t.Context(), issuer.Token(a))
		gotB, errB := cache.Verify(t.Context(), issuer.Token(b))
		if errA != nil || errB != nil || gotA.Subject != a.Subject || gotB.Subject != b.Subject {
			t.Fatalf("got %v, %v (%v, %v)", gotA, gotB, errA, errB)
		}
	}
	raw := issuer.Token(a)
	for i := range raw { // one letter changed is another token
		changed := raw[:i] + string('A'+(raw[i]-'A'+1)%26) + raw[i+1:]
		mustRefuse(t, cache, changed, fault.TokenInvalid)
	}
}

func TestCache_IsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	const size = 320
	cache, issuer, keys, _ := newCache(t, size)
	favourite := issuer.Token(tokentest.Claims(noon()))
	verify := func(raw string) {
		if _, err := cache.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	verify(favourite)
	checked := 0
	for i := range 3 * size {
		claims := tokentest.Claims(noon())
		claims.TokenID = fmt.Sprint("token-", i)
		verify(issuer.Token(claims))
		before := keys.lookups.Load()
		verify(favourite)
		checked += int(keys.lookups.Load() - before)
		if got := cache.Len(); got > size {
			t.Fatalf("the cache holds %d tokens, want at most %d", got, size)
		}
	}
	if checked != 0 {
		t.Errorf("a token in constant use was checked %d times again", checked)
	}
}

func TestCache_ConcurrentUse(t *testing.T) {
	cache, issuer, keys, _ := newCache(t, 64)
	raws := make([]string, 100)
	for i := range raws {
		claims := tokentest.Claims(noon())
		claims.TokenID = fmt.Sprint("token-", i)
		raws[i] = issuer.Token(claims)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, raw := range raws {
				got, err := cache.Verify(t.Context(), raw)
				if err != nil || got.TokenID != fmt.Sprint("token-", i) {
					t.Errorf("got %v, %v", got, err)
				}
				if i%25 == 0 {
					keys.change(issuer.Set(t))
				}
			}
		})
	}
	wg.Wait()
}

func TestCache_AHitAllocatesNothing(t *testing.T) {
	cache, issuer, _, _ := newCache(t, 100)
	raw := issuer.Token(tokentest.Claims(noon()))
	ctx := t.Context()
	verify := func() {
		if _, err := cache.Verify(ctx, raw); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	if got := testing.AllocsPerRun(100, verify); got != 0 {
		t.Errorf("a hit makes %v allocations, want none", got)
	}
}
