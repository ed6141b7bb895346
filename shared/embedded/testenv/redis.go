package testenv

import (
	"net/url"
	"testing"

	"github.com/alicebob/miniredis/v2/proto"

	"gatehouse.internal/shared/embedded"
)

// EachRedis runs a test as "embedded" and as "real", on the local Redis or on
// the one that GATEHOUSE_TEST_REDIS_URL names. All keys of the test must start
// with prefix; they are deleted afterwards.
func EachRedis(t *testing.T, run func(t *testing.T, url, prefix string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		url, prefix := Redis(t)
		run(t, url, prefix)
	})
	t.Run("real", func(t *testing.T) {
		url, prefix := RealRedis(t)
		run(t, url, prefix)
	})
}

// Redis gives an embedded Redis of the test's own, and a prefix for keys.
func Redis(t testing.TB) (url, prefix string) {
	t.Helper()
	server, err := embedded.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL(), unique()
}

// RealRedis gives the real Redis and a prefix whose keys are deleted after the
// test. It skips the test where there is no server.
func RealRedis(t testing.TB) (server, prefix string) {
	t.Helper()
	server, prefix = setting("GATEHOUSE_TEST_REDIS_URL", "redis://127.0.0.1:6379/0"), unique()
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal("GATEHOUSE_TEST_REDIS_URL is not a URL")
	}
	requireServer(t, "Redis", parsed.Host)
	t.Cleanup(func() { deleteKeys(t, parsed, prefix) })
	return server, prefix
}

// deleteKeysScript is for a test server: KEYS looks at every key there is.
const deleteKeysScript = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do redis.call('DEL', key) end
return redis.call('KEYS', ARGV[1] .. '*')`

func deleteKeys(t testing.TB, server *url.URL, prefix string) {
	t.Helper()
	client, err := proto.Dial(server.Host)
	if err != nil {
		t.Errorf("connect to Redis to clean up: %v", err)
		return
	}
	defer func() { _ = client.Close() }()
	if password, ok := server.User.Password(); ok {
		if _, err := client.Do("AUTH", password); err != nil {
			t.Errorf("sign in to Redis to clean up: %v", err)
		}
	}
	if db := server.Path; len(db) > 1 {
		if _, err := client.Do("SELECT", db[1:]); err != nil {
			t.Errorf("select the Redis database to clean up: %v", err)
		}
	}
	left, err := client.DoStrings("EVAL", deleteKeysScript, "0", prefix)
	if err != nil || len(left) > 0 {
		t.Errorf("delete the keys of the test: %d left: %v", len(left), err)
	}
}
