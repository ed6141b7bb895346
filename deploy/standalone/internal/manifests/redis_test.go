package manifests

import (
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
)

// redisUser gives what sends commands to a Redis, and the text of its refusal.
func redisUser(t *testing.T, url string) func(command ...any) string {
	t.Helper()
	client, err := revocation.NewRedisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return func(command ...any) string {
		if err := client.Do(t.Context(), command...).Err(); err != nil {
			return err.Error()
		}
		return ""
	}
}

// refused reports whether it is for want of a permission that Redis refused.
func refused(answer string) bool {
	return strings.HasPrefix(answer, "NOPERM") || strings.Contains(answer, "The user executing the script can't")
}

// The head and the proof of the revocations, and the counts of both services.
const (
	redisHead  = contract.DefaultPrefix + ":rev:head"
	redisProof = contract.DefaultPrefix + ":rev:proof"
	redisLimit = contract.DefaultPrefix + ":limit:login"
	redisTries = contract.DefaultPrefix + ":tries:account"
)

func TestRedis_S_A2_F41_each_service_may_do_what_it_does_and_no_more(t *testing.T) {
	urlOf := testenv.RedisWithUsers(t)
	auth, gateway := redisUser(t, urlOf("auth-service")), redisUser(t, urlOf("gateway"))
	for _, command := range [][]any{
		{"HSET", redisHead, "epoch", "1", "last", "7"}, {"SET", redisProof, "true"}, {"SET", redisTries, "1"},
	} {
		if answer := auth(command...); answer != "" {
			t.Fatalf("the auth-service cannot %v: %s", command, answer)
		}
	}
	for name, try := range map[string]struct {
		user    func(command ...any) string
		command []any
	}{
		"a gateway writes a head":                      {gateway, []any{"HSET", redisHead, "last", "0"}},
		"a gateway takes the head away":                {gateway, []any{"DEL", redisHead}},
		"a gateway writes a proof":                     {gateway, []any{"SET", redisProof, "forged"}},
		"a gateway has a proof expire":                 {gateway, []any{"PEXPIRE", redisProof, "1"}},
		"a gateway writes a proof by a script":         {gateway, []any{"EVAL", "return redis.call('SET', KEYS[1], 'forged')", "1", redisProof}},
		"a gateway's script names no keys":             {gateway, []any{"EVAL", "return redis.call('SET', '" + redisProof + "', 'forged')", "0"}},
		"a gateway's script empties Redis":             {gateway, []any{"EVAL", "return redis.call('FLUSHALL')", "0"}},
		"a gateway revokes":                            {gateway, []any{"SET", contract.DefaultPrefix + ":rev:k:key", "1"}},
		"a gateway reads tries":                        {gateway, []any{"GET", redisTries}},
		"a gateway makes tries free again":             {gateway, []any{"SET", redisTries, "0"}},
		"a gateway writes under another prefix":        {gateway, []any{"SET", "other:limit:login", "1"}},
		"the auth-service counts requests":             {auth, []any{"SET", redisLimit, "1"}},
		"the auth-service makes requests free again":   {auth, []any{"DEL", redisLimit}},
		"the auth-service reads counts of requests":    {auth, []any{"GET", redisLimit}},
		"the auth-service counts requests by a script": {auth, []any{"EVAL", "return redis.call('SET', '" + redisLimit + "', '1')", "0"}},
		"the auth-service writes under another prefix": {auth, []any{"SET", "other:rev:proof", "1"}},
	} {
		if answer := try.user(try.command...); !refused(answer) {
			t.Errorf("%s: answer %q", name, answer)
		}
	}
	if answer := gateway("EVAL", "assert(redis.call('HGET', KEYS[1], 'last') == '7')", "1", redisHead); !refused(answer) {
		t.Errorf("a gateway runs scripts on revocations: %q", answer)
	}
	if answer := auth("EVAL", `assert(redis.call('HGET', KEYS[1], 'last') == '7' and redis.call('GET', KEYS[2]) == 'true' and redis.call('GET', KEYS[3]) == '1')`,
		"3", redisHead, redisProof, redisTries); answer != "" && answer != "redis: nil" {
		t.Errorf("what the auth-service has written is not there any more: %s", answer)
	}
}

// TestRedis_S_A2_no_service_rules_the_server holds both users to data: none of
// them can empty, list, reconfigure, watch, copy or stop the server.
func TestRedis_S_A2_no_service_rules_the_server(t *testing.T) {
	urlOf := testenv.RedisWithUsers(t)
	for _, name := range []string{"auth-service", "gateway"} {
		user := redisUser(t, urlOf(name))
		for _, command := range []string{
			"FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "CONFIG GET *", "CONFIG SET maxmemory 1", "CONFIG REWRITE", "CONFIG RESETSTAT",
			"ACL LIST", "ACL WHOAMI", "ACL SETUSER x on nopass +@all ~*", "ACL LOG", "CLIENT LIST", "CLIENT KILL TYPE normal", "CLIENT PAUSE 1000", "INFO", "MONITOR",
			"SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "REPLICAOF 127.0.0.1 1", "PSYNC ? -1", "MIGRATE 127.0.0.1 1 x 0 1", "MODULE LIST", "SLOWLOG GET",
			"SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION LIST", "SELECT 1", "SWAPDB 0 1", "PUBLISH x y", "SUBSCRIBE x",
			"DUMP " + redisProof, "RENAME " + redisHead + " " + redisProof, "SORT " + redisHead, "GETDEL " + redisProof, "APPEND " + redisProof + " x",
		} {
			var words []any
			for word := range strings.FieldsSeq(command) {
				words = append(words, word)
			}
			if answer := user(words...); !refused(answer) {
				t.Errorf("%s: %s: answer %q", name, command, answer)
			}
		}
	}
}

func TestRedis_S_A2_nobody_is_let_in_without_a_name_and_its_password(t *testing.T) {
	urlOf := testenv.RedisWithUsers(t)
	_, rest, _ := strings.Cut(urlOf("gateway"), "@")
	_, password, _ := strings.Cut(strings.TrimPrefix(urlOf("auth-service"), "unix://"), ":")
	password, _, _ = strings.Cut(password, "@")
	for name, url := range map[string]string{
		"nobody":                          urlOf(""),
		"nobody with a password":          "unix://:" + password + "@" + rest,
		"a gateway with another password": "unix://gateway:" + password + "@" + rest,
		"a stranger":                      "unix://root:" + password + "@" + rest,
	} {
		if answer := redisUser(t, url)("GET", redisProof); !strings.Contains(answer, "NOAUTH") && !strings.Contains(answer, "WRONGPASS") {
			t.Errorf("%s: answer %q", name, answer)
		}
	}
	if answer := redisUser(t, "unix://auth-service:"+password+"@"+rest)("GET", redisProof); answer != "redis: nil" {
		t.Errorf("the password %q is not the auth-service's, and this test tells nothing: %s", password, answer)
	}
}
