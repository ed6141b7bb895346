package limit_test

import (
	"testing"

	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// With the users of deploy/redis a gateway counts in Redis, and another service
// cannot use up what callers have there.
func TestLimiter_S_A2_F41_only_the_user_of_gateways_counts_requests(t *testing.T) {
	urlOf := testenv.RedisWithUsers(t)
	one := limit.Rule{Requests: 1, Per: credentials.Per}
	gateway := open(t, limit.Config{URL: urlOf("gateway"), Prefix: contract.DefaultPrefix})
	other := open(t, limit.Config{URL: urlOf("auth-service"), Prefix: contract.DefaultPrefix})
	if r := other.Allow(t.Context(), "login|a", one); !r.Local {
		t.Errorf("the auth-service counts requests of gateways: %+v", r)
	}
	if r := gateway.Allow(t.Context(), "login|a", one); !r.Allowed || r.Local {
		t.Errorf("the first request: %+v", r)
	}
	second := open(t, limit.Config{URL: urlOf("gateway"), Prefix: contract.DefaultPrefix})
	if r := second.Allow(t.Context(), "login|a", one); r.Allowed || r.Local {
		t.Errorf("another request at another node: %+v", r)
	}
}
