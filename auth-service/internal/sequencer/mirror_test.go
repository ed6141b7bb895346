package sequencer

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
)

// withRedis runs a test on the in-process Redis, on a real one, and on one where
// the sequencer and who asks for an opinion are the users of deploy/redis.
func withRedis(t *testing.T, run func(s *system, second *revocation.Redis)) {
	on := func(t *testing.T, writerURL, readerURL, prefix string) {
		s := newSystem(t, testenv.SQLite(t))
		s.redis, s.redisPrefix = dialRedis(t, writerURL), prefix
		run(s, revocation.NewRedis(dialRedis(t, readerURL), prefix, s.signer, time.Now))
	}
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) { on(t, url, url, prefix) })
	t.Run("S-A2 each with a user of its own", func(t *testing.T) {
		urlOf := testenv.RedisWithUsers(t)
		on(t, urlOf("auth-service"), urlOf("gateway"), contract.DefaultPrefix)
	})
}

func dialRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	client, err := revocation.NewRedisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *system) opinionOf(second *revocation.Redis, session string) func() revocation.Verdict {
	return func() revocation.Verdict {
		opinion, err := second.Ask(s.t.Context(), ofSession(session), 1)
		if err != nil || opinion.Age > time.Second {
			return 255
		}
		return opinion.Verdict
	}
}

func TestMirror_F1_redis_gives_a_fresh_second_opinion(t *testing.T) {
	withRedis(t, func(s *system, second *revocation.Redis) {
		q, _ := s.sequencer()
		ids, sessions := s.insert(1200) // more than one chunk
		q.Committed(s.t.Context(), ids)
		revoked, stranger := s.opinionOf(second, sessions[1100]), s.opinionOf(second, "another")
		s.eventually("revoked", 15*time.Second, func() bool { return revoked() == revocation.Revoked })
		s.eventually("nothing against another", 15*time.Second, func() bool { return stranger() == revocation.Good })
	})
}

// loseRedis deletes all that the mirror has written about sessions. No service
// may ask for the names of keys, so they are those that the test knows.
func (s *system) loseRedis(sessions []string) {
	s.t.Helper()
	names := revocation.RedisKeys{Prefix: s.redisPrefix}
	keys := []string{names.Head(), names.Proof()}
	for _, session := range sessions {
		keys = append(keys, names.ID(contract.ParseSubjectID(session)))
	}
	if deleted, err := s.redis.Del(s.t.Context(), keys...).Result(); err != nil || deleted != int64(len(keys)) {
		s.t.Fatalf("%d of %d keys are deleted, %v", deleted, len(keys), err)
	}
}

func TestMirror_F19_an_emptied_redis_proves_nothing_and_is_filled_anew(t *testing.T) {
	withRedis(t, func(s *system, second *revocation.Redis) {
		q, _ := s.sequencer()
		ids, sessions := s.insert(3)
		q.Committed(s.t.Context(), ids)
		revoked := s.opinionOf(second, sessions[2])
		s.eventually("revoked", 15*time.Second, func() bool { return revoked() == revocation.Revoked })
		stranger := s.opinionOf(second, "another")
		s.eventually("a proof", 15*time.Second, func() bool { return stranger() == revocation.Good })
		s.loseRedis(sessions)
		s.eventually("revoked again", 15*time.Second, func() bool {
			verdict := revoked()
			if verdict == revocation.Good {
				s.t.Fatal("an emptied Redis has declared a revoked session good")
			}
			return verdict == revocation.Revoked
		})
	})
}

func TestMirror_user_versions_and_keys_are_there_too(t *testing.T) {
	withRedis(t, func(s *system, second *revocation.Redis) {
		q, _ := s.sequencer()
		user := contract.ParseSubjectID("a user")
		entries := []contract.Entry{
			{Kind: contract.RevokeUser, Subject: user, MinVersion: 3, ExpiresAt: time.Now().Add(time.Hour)},
			{Kind: contract.RevokeUser, Subject: user, MinVersion: 2, ExpiresAt: time.Now().Add(time.Minute)},
			{Kind: contract.RevokeUserStale, Subject: user, MinVersion: 4, ExpiresAt: time.Now().Add(time.Hour)},
			{Kind: contract.RevokeKey, KeyID: "k9", ExpiresAt: time.Now().Add(time.Hour)},
		}
		s.eventually("a head in redis", 15*time.Second, func() bool { return s.opinionOf(second, "x")() == revocation.Good })
		at, err := q.log.look(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if err := q.mirror.write(s.t.Context(), contract.Batch{Epoch: at.Epoch, First: 1, Entries: entries}); err != nil {
			s.t.Fatal(err)
		}
		for version, want := range map[uint64]revocation.Verdict{2: revocation.Revoked, 3: revocation.Stale, 4: revocation.Good} {
			opinion, err := second.Ask(s.t.Context(), &contract.Claims{Refs: contract.Refs{User: user}, Version: version}, at.Epoch)
			if err != nil || opinion.Verdict != want {
				s.t.Errorf("version %d: %+v, %v, want verdict %d", version, opinion, err, want)
			}
		}
		if opinion, err := second.Ask(s.t.Context(), &contract.Claims{KeyID: "k9"}, at.Epoch); err != nil || opinion.Verdict != revocation.Revoked {
			s.t.Errorf("a revoked key: %+v, %v", opinion, err)
		}
		ttl, err := s.redis.PTTL(s.t.Context(), q.mirror.keys.User(user)).Result()
		if err != nil || ttl < 50*time.Minute || ttl > time.Hour+time.Second {
			s.t.Errorf("the user's entry lives for %v (%v), want an hour", ttl, err)
		}
		if err := q.mirror.write(s.t.Context(), contract.Batch{Epoch: at.Epoch, First: 9, Entries: entries}); err == nil {
			s.t.Error("a batch was written that does not follow what is there")
		}
	})
}

func TestMirror_F41_a_forged_proof_is_no_opinion(t *testing.T) {
	s := newSystem(t, testenv.SQLite(t))
	thief := newSystem(t, testenv.SQLite(t)).signer
	keys := revocation.RedisKeys{Prefix: s.redisPrefix}
	proof := revocation.Seal(revocation.PurposeProof, "events-1", thief.key, []byte(`{"v":1,"epoch":1,"last":0,"at":99999999999999999}`))
	if err := s.redis.HSet(t.Context(), keys.Head(), "epoch", "1", "last", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.redis.Set(t.Context(), keys.Proof(), proof, 0).Err(); err != nil {
		t.Fatal(err)
	}
	opinion, err := revocation.NewRedis(s.redis, s.redisPrefix, s.signer, time.Now).Ask(t.Context(), ofSession("x"), 1)
	if err == nil {
		t.Errorf("opinion %+v on the word of a forged proof", opinion)
	}
}
