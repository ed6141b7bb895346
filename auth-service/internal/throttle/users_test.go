package throttle

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// With the users of deploy/redis an auth-service can do all that it does with
// tries, and a gateway cannot make the tries of an account free again.
func TestThrottle_S_A2_F41_only_the_user_of_auth_services_counts_tries(t *testing.T) {
	urlOf := testenv.RedisWithUsers(t)
	x := open(t, Config{URL: urlOf("auth-service"), Prefix: contract.DefaultPrefix})
	bounds := []auth.Bound{bound("pair", 2, time.Hour), bound("account", 5, time.Hour)}
	for i := range 3 {
		if v := x.Take(t.Context(), bounds); v.Allowed != (i < 2) {
			t.Errorf("try %d: %+v", i+1, v)
		}
	}
	x.Return(t.Context(), bounds)
	if got := x.Used(t.Context(), bounds); got[0] != 1 || got[1] != 1 {
		t.Errorf("after two tries of which one was given back: %v", got)
	}

	gateway := open(t, Config{URL: urlOf("gateway"), Prefix: contract.DefaultPrefix})
	gateway.Forget(t.Context(), bounds)
	if !gateway.Alone() {
		t.Error("a gateway may forget tries")
	}
	if got := x.Used(t.Context(), bounds); got[0] != 1 || got[1] != 1 {
		t.Errorf("after a gateway has tried to forget them: %v", got)
	}

	x.Forget(t.Context(), bounds)
	if got := x.Used(t.Context(), bounds); got[0] != 0 || got[1] != 0 {
		t.Errorf("after they were forgotten: %v", got)
	}
	if x.Alone() {
		t.Error("something was refused that the auth-service needs")
	}
}
