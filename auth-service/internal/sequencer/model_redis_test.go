package sequencer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// memoryRedis answers the commands of the mirror and of the second opinion
// inside the client, so that the real code of both runs without a network. A
// transaction and a script are one step.
type memoryRedis struct {
	w       *world
	clock   clock
	back    time.Duration // how far its clock was ever set back, in sum
	strings map[string]string
	hashes  map[string]map[string]string
	expiry  map[string]time.Duration // by its clock; no entry: never
}

func newMemoryRedis(w *world) *memoryRedis {
	r := &memoryRedis{w: w, clock: clock{w: w}}
	r.flush()
	return r
}

func (r *memoryRedis) flush() {
	r.strings, r.hashes, r.expiry = map[string]string{}, map[string]map[string]string{}, map[string]time.Duration{}
}

var errRedis = errors.New("redis did not answer")

// DialHook never lets a connection come about.
func (r *memoryRedis) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errRedis }
}

// ProcessHook answers one command.
func (r *memoryRedis) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error { return r.answer(cmd) }
}

// ProcessPipelineHook answers a transaction.
func (r *memoryRedis) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error { return r.answer(cmds...) }
}

func (r *memoryRedis) answer(cmds ...redis.Cmder) error {
	f := r.w.pause()
	if f != notDone {
		for _, cmd := range cmds {
			cmd.SetErr(r.execute(cmd))
		}
	}
	if f != granted {
		for _, cmd := range cmds {
			cmd.SetErr(errRedis)
		}
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	return nil
}

func (r *memoryRedis) execute(cmd redis.Cmder) error {
	args := make([]string, len(cmd.Args()))
	for i, a := range cmd.Args() {
		args[i] = fmt.Sprint(a)
		if b, isBytes := a.([]byte); isBytes {
			args[i] = string(b)
		}
	}
	for key, at := range r.expiry {
		if at <= r.clock.since() {
			r.delete(key)
		}
	}
	switch c := cmd.(type) {
	case *redis.TimeCmd:
		c.SetVal(r.clock.Now().Round(0).Truncate(time.Microsecond))
	case *redis.SliceCmd: // HMGET; EXEC has nothing to do
		if args[0] != "hmget" {
			return nil
		}
		values := make([]any, 0, len(args)-2)
		for _, field := range args[2:] {
			var value any
			if v, found := r.hashes[args[1]][field]; found {
				value = v
			}
			values = append(values, value)
		}
		c.SetVal(values)
	case *redis.StringCmd: // GET
		v, found := r.strings[args[1]]
		if !found {
			return redis.Nil
		}
		c.SetVal(v)
	case *redis.StatusCmd: // SET; MULTI has nothing to do
		if args[0] == "set" {
			r.strings[args[1]] = r.w.sabotage.proofWritten(r.w, args[2])
		}
	case *redis.IntCmd:
		c.SetVal(r.count(args))
	case *redis.Cmd: // EVALSHA and EVAL: sha, number of keys, keys, arguments
		n, _ := strconv.Atoi(args[2])
		c.SetVal(r.apply(args[3:3+n], args[3+n:]))
	}
	return nil
}

// count runs DEL, HSET and EXISTS.
func (r *memoryRedis) count(args []string) (n int64) {
	switch args[0] {
	case "del":
		for _, key := range args[1:] {
			r.delete(key)
		}
	case "hset":
		for i := 2; i+1 < len(args); i += 2 {
			r.field(args[1], args[i], args[i+1])
		}
	case "exists":
		for _, key := range args[1:] {
			if _, found := r.strings[key]; found {
				n++
			}
		}
	}
	return n
}

func (r *memoryRedis) field(key, field, value string) {
	if r.hashes[key] == nil {
		r.hashes[key] = map[string]string{}
	}
	r.hashes[key][field] = value
}

func (r *memoryRedis) delete(key string) {
	delete(r.strings, key)
	delete(r.hashes, key)
	delete(r.expiry, key)
}

// apply is the mirror's script. TestMirror tries the script itself.
func (r *memoryRedis) apply(keys, args []string) int64 {
	head := r.hashes[keys[0]]
	if len(head) == 0 || head["epoch"] != args[0] || head["last"] != args[1] {
		return 0
	}
	for i, key := range keys[1:] {
		kind, expiry, version := args[3*i+3], args[3*i+4], args[3*i+5]
		if kind == "i" {
			r.strings[key] = "1"
		} else {
			old, _ := strconv.ParseUint(r.hashes[key][kind], 10, 64)
			if next, _ := strconv.ParseUint(version, 10, 64); old < next {
				r.field(key, kind, version)
			}
		}
		millis, _ := strconv.ParseInt(expiry, 10, 64)
		r.expiry[key] = max(r.expiry[key], time.Duration(millis)*time.Millisecond-beginning*time.Second, r.clock.since()+time.Millisecond)
	}
	r.field(keys[0], "last", args[2])
	return 1
}
