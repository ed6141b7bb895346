package throttle

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/auth-service/internal/auth"
)

// Each key holds the moment at which all tries are free again, in microseconds
// by the clock of Redis, and is forgotten then.

// takeScript counts under all keys or under none. It answers with the number of
// the key with the longest wait, that wait, and 1 if nobody was told lately; or
// with 0 and what is taken up of each.
var takeScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local free, worst, wait = {}, 0, 0
for i, key in ipairs(KEYS) do
  local spacing, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local at = tonumber(redis.call('GET', key) or '') or now
  free[i] = math.min(math.max(at, now), now + burst) + spacing
  local over = free[i] - now - burst
  if over > wait then worst, wait = i, over end
end
if worst > 0 then
  local fresh = redis.call('SET', KEYS[worst] .. ':told', 1, 'NX', 'PX', ARGV[#ARGV])
  return {worst, wait, fresh and 1 or 0}
end
local answer = {0}
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', free[i]), 'PX', math.ceil((free[i] - now) / 1000) + 1)
  answer[i + 1] = free[i] - now
end
return answer`)

// returnScript takes one try back from each key.
var returnScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i, key in ipairs(KEYS) do
  local at = tonumber(redis.call('GET', key) or '') or 0
  at = at - tonumber(ARGV[i])
  if at > now then
    redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1)
  else
    redis.call('DEL', key)
  end
end
return 0`)

// lookScript tells how much of each key is taken up.
var lookScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local at = tonumber(redis.call('GET', key) or '') or 0
  answer[i] = math.max(0, at - now)
end
return answer`)

func (t *Throttle) keys(bounds []auth.Bound) []string {
	keys := make([]string, len(bounds))
	for i, b := range bounds {
		keys[i] = t.prefix + b.Key
	}
	return keys
}

func (t *Throttle) take(ctx context.Context, bounds []auth.Bound) (state, error) {
	args := make([]any, 0, 2*len(bounds)+1)
	for _, b := range bounds {
		args = append(args, spacing(b).Microseconds(), burst(b).Microseconds())
	}
	answer, err := takeScript.Run(ctx, t.client, t.keys(bounds), append(args, reportEvery.Milliseconds())...).Int64Slice()
	if err != nil {
		return state{}, fmt.Errorf("count a try in Redis: %w", err)
	}
	switch {
	case len(answer) == 3 && answer[0] >= 1 && answer[0] <= int64(len(bounds)):
		return state{refused: int(answer[0]) - 1, wait: time.Duration(answer[1]) * time.Microsecond, fresh: answer[2] == 1}, nil
	case len(answer) == len(bounds)+1 && answer[0] == 0:
		return state{refused: -1, used: micros(answer[1:])}, nil
	}
	return state{}, fmt.Errorf("count a try in Redis: an answer of %d numbers", len(answer))
}

func (t *Throttle) giveBack(ctx context.Context, bounds []auth.Bound) error {
	args := make([]any, len(bounds))
	for i, b := range bounds {
		args[i] = spacing(b).Microseconds()
	}
	if err := returnScript.Run(ctx, t.client, t.keys(bounds), args...).Err(); err != nil {
		return fmt.Errorf("take a try back in Redis: %w", err)
	}
	return nil
}

func (t *Throttle) look(ctx context.Context, bounds []auth.Bound) ([]time.Duration, error) {
	answer, err := lookScript.Run(ctx, t.client, t.keys(bounds)).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("look at tries in Redis: %w", err)
	}
	if len(answer) != len(bounds) {
		return nil, fmt.Errorf("look at tries in Redis: an answer of %d numbers", len(answer))
	}
	return micros(answer), nil
}

func (t *Throttle) forget(ctx context.Context, bounds []auth.Bound) error {
	if err := t.client.Del(ctx, t.keys(bounds)...).Err(); err != nil {
		return fmt.Errorf("forget tries in Redis: %w", err)
	}
	return nil
}

func micros(numbers []int64) []time.Duration {
	out := make([]time.Duration, len(numbers))
	for i, n := range numbers {
		out[i] = time.Duration(n) * time.Microsecond
	}
	return out
}
