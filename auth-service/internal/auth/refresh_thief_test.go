package auth_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// holder is one of the two that hold a stolen token.
type holder struct {
	auth.Caller
	auth.Tokens
	generation int // number of the token it holds
}

// theft is a session whose newest refresh token was copied.
type theft struct {
	*harness
	random    *rand.Rand
	holders   [2]holder // its owner and the thief
	newest    int       // number of the newest token
	rotatedAt time.Time
}

func newTheft(h *harness, random *rand.Rand, email string) *theft {
	h.t.Helper()
	start := h.newUser(email)
	for range random.IntN(3) {
		h.clock.advance(14 * time.Minute)
		start = h.mustRefresh(start.RefreshToken)
	}
	s := &theft{harness: h, random: random, holders: [2]holder{{Caller: stranger(), Tokens: start}, {Caller: stranger(), Tokens: start}}}
	s.holders[1].Address, s.holders[1].UserAgent = "198.51.100.66", "thief/1"
	return s
}

// turn has owner or thief refresh, after a while that may be longer than the
// grace interval. It says who it was, and whether that ended the session.
func (s *theft) turn() (who int, ended bool) {
	s.t.Helper()
	s.clock.advance(time.Duration(s.random.Int64N(int64(2 * grace))))
	who = s.random.IntN(2)
	x := &s.holders[who]
	late := s.clock.Now().Sub(s.rotatedAt) >= grace
	got, err := s.Refresh(s.t.Context(), x.Caller, x.RefreshToken)
	switch behind := s.newest - x.generation; {
	case behind == 0:
		s.newest, s.rotatedAt = s.newest+1, s.clock.Now()
	case behind > 1 || late:
		wantKind(s.t, "one whose token the other used before", err, fault.InvalidRefreshToken)
		return who, true
	}
	if err != nil {
		s.t.Fatalf("holder %d with token %d of %d: %v", who, x.generation, s.newest, err)
	}
	x.Tokens, x.generation = got, s.newest
	if y := s.holders[1-who]; y.generation == x.generation && y.RefreshToken != x.RefreshToken {
		s.t.Fatal("owner and thief hold different tokens of one number: there are two lineages")
	}
	return who, false
}

// over fails unless the session ended, for both and for this reason.
func (s *theft) over() {
	s.t.Helper()
	if at := s.session(s.holders[0].SessionID); at.EndedAt.IsZero() || at.EndCause != auth.CauseTokenReused {
		s.t.Fatalf("the session ended at %v because of %q", at.EndedAt, at.EndCause)
	}
	for i, x := range s.holders {
		if _, err := s.Refresh(s.t.Context(), x.Caller, x.RefreshToken); !fault.Is(err, fault.InvalidRefreshToken) {
			s.t.Fatalf("holder %d still refreshes: %v", i, err)
		}
		c, err := s.signer.Verify(s.t.Context(), x.AccessToken)
		if fault.Is(err, fault.TokenExpired) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if v := s.gateway.verdict(s.t, c); v != fault.TokenRevoked {
			s.t.Fatalf("a gateway says %q of the access token of holder %d", v, i)
		}
	}
}

// TestRefresh_SR1_I10_ownerAndThiefCannotBothGoOn has owner and thief refresh in
// random order. Within the grace interval nobody can tell them from two tabs,
// and both get one successor. The first that comes later than that with a token
// that the other used ends the session for both.
func TestRefresh_SR1_I10_ownerAndThiefCannotBothGoOn(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		random := rand.New(rand.NewPCG(2, 2))
		caught := [2]int{}
		for i := range crowd {
			s := newTheft(h, random, fmt.Sprintf("user%d@example.com", i))
			for turns := 0; ; turns++ {
				if who, ended := s.turn(); ended {
					caught[who]++
					break
				}
				if turns == 200 {
					t.Fatalf("trial %d: the session lives after %d refreshes by both", i, turns)
				}
			}
			s.over()
		}
		t.Logf("%d sessions ended when the owner came, %d when the thief did, of %d", caught[0], caught[1], crowd)
		if caught[0]*3 < crowd || caught[1]*3 < crowd {
			t.Errorf("%d sessions ended when the owner came, %d when the thief did: that is no random order", caught[0], caught[1])
		}
		letters := 0
		for _, m := range outbox[auth.Mail](h, auth.TopicMail) {
			if m.Template == auth.MailTokenReused {
				letters++
			}
		}
		if letters != crowd {
			t.Errorf("%d letters tell of it, want %d", letters, crowd)
		}
	})
}
