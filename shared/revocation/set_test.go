package revocation

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse.internal/shared/contract"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func id(n int) contract.SubjectID {
	return contract.ParseSubjectID(fmt.Sprintf("subject %d", n))
}

func claims(token, session, user int, version uint64) *contract.Claims {
	return &contract.Claims{
		Refs: contract.Refs{Token: id(token), Session: id(session), User: id(user)}, Version: version, KeyID: "k1",
	}
}

func TestSet_Check(t *testing.T) {
	later := start.Add(time.Hour)
	for _, c := range []struct {
		name  string
		entry contract.Entry
		want  Verdict
	}{
		{"nothing is known of another token", contract.Entry{Kind: contract.RevokeToken, Subject: id(9)}, Good},
		{"a token is revoked by its jti", contract.Entry{Kind: contract.RevokeToken, Subject: id(1)}, Revoked},
		{"a token is revoked with its session", contract.Entry{Kind: contract.RevokeSession, Subject: id(2)}, Revoked},
		{"a token of an older version is revoked", contract.Entry{Kind: contract.RevokeUser, Subject: id(3), MinVersion: 6}, Revoked},
		{"a token of the lowest good version is good", contract.Entry{Kind: contract.RevokeUser, Subject: id(3), MinVersion: 5}, Good},
		{"a token of older roles is stale", contract.Entry{Kind: contract.RevokeUserStale, Subject: id(3), MinVersion: 6}, Stale},
		{"a token of a revoked key is revoked", contract.Entry{Kind: contract.RevokeKey, KeyID: "k1"}, Revoked},
		{"a token of another key is good", contract.Entry{Kind: contract.RevokeKey, KeyID: "k2"}, Good},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSet()
			c.entry.ExpiresAt = later
			s.Add(&c.entry)
			if got := s.Check(claims(1, 2, 3, 5)); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
		})
	}
}

func TestSet_I1_a_version_that_has_no_room_refuses_every_token(t *testing.T) {
	for _, c := range []struct {
		kind contract.RevocationKind
		min  uint64
		want Verdict
	}{
		{contract.RevokeUser, 1<<32 - 2, Good},
		{contract.RevokeUser, 1<<32 - 1, Revoked},
		{contract.RevokeUser, 1<<32 + 1, Revoked},
		{contract.RevokeUserStale, 1 << 40, Stale},
	} {
		s := NewSet()
		s.Add(&contract.Entry{Kind: c.kind, Subject: id(3), MinVersion: c.min, ExpiresAt: start})
		for _, version := range []uint64{1<<32 - 1, 1 << 32, 1<<40 - 1} {
			if got := s.Check(claims(1, 2, 3, version)); got != c.want {
				t.Errorf("version %d after kind %d with %d: verdict %d, want %d", version, c.kind, c.min, got, c.want)
			}
		}
	}
}

func TestSet_a_lock_outweighs_a_role_change_in_any_order(t *testing.T) {
	lock := contract.Entry{Kind: contract.RevokeUser, Subject: id(3), MinVersion: 6, ExpiresAt: start}
	roles := contract.Entry{Kind: contract.RevokeUserStale, Subject: id(3), MinVersion: 7, ExpiresAt: start}
	for _, order := range [][]contract.Entry{{lock, roles}, {roles, lock}} {
		s := NewSet()
		for i := range order {
			s.Add(&order[i])
		}
		got := []Verdict{s.Check(claims(1, 2, 3, 5)), s.Check(claims(1, 2, 3, 6)), s.Check(claims(1, 2, 3, 7))}
		if diff := cmp.Diff([]Verdict{Revoked, Stale, Good}, got); diff != "" {
			t.Errorf("versions 5, 6, 7 (-want +got):\n%s", diff)
		}
	}
}

// I4: the state is the union, whatever the order and number of deliveries.
func TestSet_I4_order_and_duplicates_change_nothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contract.Entry {
			return contract.Entry{
				Kind:       contract.RevocationKind(rapid.IntRange(1, 5).Draw(t, "kind")),
				Subject:    id(rapid.IntRange(0, 5).Draw(t, "subject")),
				KeyID:      rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key"),
				MinVersion: rapid.Uint64Range(0, 4).Draw(t, "version"),
				ExpiresAt:  start.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "expiry")) * time.Second),
			}
		}), 1, 20).Draw(t, "entries")
		one, other := NewSet(), NewSet()
		for i := range entries {
			one.Add(&entries[i])
		}
		for _, i := range rapid.Permutation(append(indexes(len(entries)), indexes(len(entries))...)).Draw(t, "order") {
			other.Add(&entries[i])
		}
		for at := range 10 {
			for part := range sweepParts {
				one.Sweep(part, start.Add(time.Duration(at)*time.Second))
				other.Sweep(part, start.Add(time.Duration(at)*time.Second))
			}
			for n := range 6 {
				for version := range uint64(5) {
					c := claims(n, n, n, version)
					if a, b := one.Check(c), other.Check(c); a != b {
						t.Fatalf("subject %d version %d after %d s: %d and %d", n, version, at, a, b)
					}
				}
			}
		}
	})
}

func indexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestSet_Sweep_removes_only_what_has_expired(t *testing.T) {
	s := NewSet()
	for n := range 1000 {
		s.Add(&contract.Entry{Kind: contract.RevokeSession, Subject: id(n), ExpiresAt: start.Add(time.Duration(n) * time.Second)})
	}
	s.Add(&contract.Entry{Kind: contract.RevokeUser, Subject: id(5000), MinVersion: 2, ExpiresAt: start})
	s.Add(&contract.Entry{Kind: contract.RevokeKey, KeyID: "k1", ExpiresAt: start})
	for part := range sweepParts {
		s.Sweep(part, start.Add(900*time.Second))
	}
	if got := s.Len(); got != 100 {
		t.Errorf("%d entries are left, want 100", got)
	}
	for n := 900; n < 1000; n++ {
		if s.Check(&contract.Claims{Refs: contract.Refs{Session: id(n)}}) != Revoked {
			t.Fatalf("entry %d is gone before its time", n)
		}
	}
}

func TestSet_F32_looking_up_allocates_nothing(t *testing.T) {
	s := NewSet()
	for n := range 1000 {
		s.Add(&contract.Entry{Kind: contract.RevokeSession, Subject: id(n), ExpiresAt: start})
	}
	c := claims(5001, 5002, 5003, 1)
	if n := testing.AllocsPerRun(100, func() { s.Check(c) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
