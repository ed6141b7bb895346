package checker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

const ms = time.Millisecond

// op makes an operation between two milliseconds.
func op(kind history.Kind, start, end, status int, change ...func(*history.Op)) history.Op {
	o := history.Op{Kind: kind, Start: time.Duration(start) * ms, End: time.Duration(end) * ms, Status: status, User: "u", Bound: 2 * time.Second}
	if kind != history.Login && kind != history.Password {
		o.Session, o.Token = "s", "t"
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

func login(start, end int) history.Op {
	return op(history.Login, start, end, 200, func(o *history.Op) { o.NewSession, o.NewToken, o.Successor, o.Key = "s", "t", "r0", "k1" })
}

func node(n int) func(*history.Op) { return func(o *history.Op) { o.Node = n } }

func code(c string) func(*history.Op) { return func(o *history.Op) { o.Code = c } }

func uses(token string) func(*history.Op) { return func(o *history.Op) { o.Token = token } }

func refresh(presented, successor, token string) func(*history.Op) {
	return func(o *history.Op) { o.Presented, o.Successor, o.NewToken = presented, successor, token }
}

func relogin(session, token string) func(*history.Op) {
	return func(o *history.Op) { o.NewSession, o.NewToken = session, token }
}

func kid(key string) func(*history.Op) { return func(o *history.Op) { o.Key = key } }

// life is that of a live connection, in milliseconds.
func life(heard, stalled, closed int, ours bool) func(*history.Op) {
	return func(o *history.Op) {
		o.Life = &history.Life{Heard: time.Duration(heard) * ms, Stalled: time.Duration(stalled) * ms, Closed: closed, Ours: ours}
	}
}

func skewed(start, end int) history.Window {
	w := window(start, end)
	w.Skewed = true
	return w
}

func window(start, end int, blind ...int) history.Window {
	return history.Window{Fault: "fault", Start: time.Duration(start) * ms, End: time.Duration(end) * ms, Blind: blind}
}

func TestCheck(t *testing.T) {
	active := []history.Window{window(0, 1_000_000)}
	for _, c := range []struct {
		name    string
		ops     []history.Op
		windows []history.Window
		settled int
		want    []string
	}{
		{"an empty history breaks nothing", nil, nil, 0, nil},
		{"use, logout, refusal", []history.Op{
			login(0, 10), op(history.Call, 20, 30, 200), op(history.Logout, 40, 50, 204), op(history.Call, 60, 70, 401, code("token_revoked")),
		}, nil, 0, nil},

		{"I1: accepted after the bound", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Call, 2051, 2060, 200),
		}, active, 0, []string{"I1"}},
		{"I1: accepted within the bound while a fault is active", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Call, 2050, 9000, 200),
		}, active, 0, nil},
		{"I1: accepted a second and more later while no fault is active", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Call, 1060, 1070, 200),
		}, nil, 0, []string{"I1"}},
		{"I1: a logout without an answer promises nothing", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 0), op(history.Call, 9000, 9010, 200),
		}, nil, 0, nil},
		{"I1: all tokens of a session die with it, even one from a refresh under way", []history.Op{
			login(0, 10), op(history.Refresh, 20, 60, 200, refresh("r0", "r1", "t1")), op(history.Logout, 40, 50, 204),
			op(history.Call, 5000, 5010, 200, uses("t1")),
		}, active, 0, []string{"I1"}},
		{"I1: a password change kills earlier sessions and not its own", []history.Op{
			login(0, 10), op(history.Password, 20, 30, 200, relogin("s2", "t2")),
			op(history.Call, 5000, 5010, 200), op(history.Call, 5000, 5010, 200, uses("t2")),
		}, active, 0, []string{"I1"}},
		{"I1: a lock kills what was issued before, not after", []history.Op{
			login(0, 10), op(history.Lock, 20, 30, 204), op(history.Unlock, 40, 50, 204), op(history.Login, 60, 70, 200, relogin("s2", "t2")),
			op(history.Call, 5000, 5010, 401), op(history.Call, 5000, 5010, 200, uses("t2")),
		}, active, 0, nil},
		{"I1: a role change makes the token stale and not its successor", []history.Op{
			login(0, 10), op(history.Roles, 20, 30, 200), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")),
			op(history.Call, 5000, 5010, 200, uses("t1")), op(history.Call, 5000, 5010, 200),
		}, active, 0, []string{"I1"}},

		{"I1: a program revokes one token and not the next of the session", []history.Op{
			login(0, 10), op(history.RevokeToken, 20, 30, 200), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")),
			op(history.Call, 5000, 5010, 200, uses("t1")), op(history.Call, 5000, 5010, 200),
		}, active, 0, []string{"I1"}},
		{"I1: a program revokes a refresh token and so the session", []history.Op{
			login(0, 10), op(history.RevokeGrant, 20, 30, 200, uses("")), op(history.Call, 5000, 5010, 200),
		}, active, 0, []string{"I1"}},
		{"I1: a key that is revoked kills its tokens and not those of another one", []history.Op{
			login(0, 10), op(history.Login, 5, 8, 200, relogin("s2", "t2"), kid("k2")), op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")),
			op(history.Call, 5000, 5010, 200, uses("t2")), op(history.Call, 5000, 5010, 200),
		}, active, 0, []string{"I1"}},
		{"I1: a token that a revoked key has signed later is dead from the first", []history.Op{
			op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")), login(40, 50),
			op(history.Call, 2050, 2060, 200), op(history.Call, 2051, 2060, 200),
		}, active, 0, []string{"I1"}},
		{"I1: a live connection is begun after the bound", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Stream, 2051, 2060, 200, life(2060, 0, 0, true)),
		}, active, 0, []string{"I1"}},

		{"I2: a blind gateway accepts after the bound", []history.Op{
			login(0, 10), op(history.Call, 2200, 2210, 200, node(1)),
		}, []history.Window{window(100, 9000, 1)}, 0, []string{"I2"}},
		{"I2: a blind gateway accepts within the bound, another one always", []history.Op{
			login(0, 10), op(history.Call, 2000, 2210, 200, node(1)), op(history.Call, 8000, 8010, 200, node(2)),
		}, []history.Window{window(100, 9000, 1)}, 0, nil},
		{"I2: an answer after healing tells nothing", []history.Op{
			login(0, 10), op(history.Call, 8000, 9010, 200, node(1)),
		}, []history.Window{window(100, 9000, 1)}, 0, nil},

		{"I5: the same gateway accepts again", []history.Op{
			login(0, 10), op(history.Logout, 20, 900, 204), op(history.Call, 30, 40, 401, code("token_revoked")), op(history.Call, 41, 50, 200),
		}, active, 0, []string{"I5"}},
		{"I5: another gateway accepts after the bound", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 0), op(history.Call, 30, 40, 401, code("token_revoked")), op(history.Call, 2041, 2050, 200, node(1)),
		}, active, 0, []string{"I5"}},
		{"I5: another gateway accepts within the bound", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 0), op(history.Call, 30, 40, 401, code("token_revoked")), op(history.Call, 2040, 2050, 200, node(1)),
		}, active, 0, nil},

		{"I6: a good token is refused", []history.Op{login(0, 10), op(history.Call, 20, 30, 401, code("token_revoked"))}, active, 0, []string{"I6"}},
		{"I6: a good token gets 503 or no answer", []history.Op{
			login(0, 10), op(history.Call, 20, 30, 503, code("revocation_state_unknown")), op(history.Call, 20, 30, 0),
		}, active, 0, nil},
		{"I6: refused before the logout began", []history.Op{
			login(0, 10), op(history.Call, 20, 39, 401), op(history.Logout, 40, 50, 204),
		}, nil, 0, []string{"I6"}},
		{"I6: refused while the logout is under way", []history.Op{
			login(0, 10), op(history.Call, 20, 45, 401), op(history.Logout, 40, 50, 204),
		}, nil, 0, nil},
		{"I6: a logout that was refused revokes nothing", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 422), op(history.Call, 40, 50, 401),
		}, nil, 0, []string{"I6"}},
		{"I6: a token from after a role change is refused", []history.Op{
			login(0, 10), op(history.Roles, 20, 30, 200), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")),
			op(history.Call, 60, 70, 401, uses("t1")),
		}, nil, 0, []string{"I6"}},
		{"I6: a role change without an answer may come later", []history.Op{
			login(0, 10), op(history.Roles, 20, 30, 0), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")),
			op(history.Call, 60, 70, 401, uses("t1")),
		}, nil, 0, nil},
		{"I10: a good session is not refreshed", []history.Op{
			login(0, 10), op(history.Refresh, 20, 30, 401, refresh("r0", "", "")),
		}, nil, 0, []string{"I10"}},
		{"I6: a lost refresh may look like theft later", []history.Op{
			login(0, 10), op(history.Refresh, 20, 30, 0, refresh("r0", "", "")), op(history.Refresh, 40, 50, 401, refresh("r0", "", "")),
		}, nil, 0, nil},
		{"I6: an expired token is refused", []history.Op{login(0, 10), op(history.Call, 900_000, 900_010, 401)}, nil, 0, nil},

		{"I6: a key is revoked, its tokens are refused", []history.Op{
			login(0, 10), op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")), op(history.Call, 40, 50, 401),
		}, active, 0, nil},
		{"I10: a session lives on when its token was revoked", []history.Op{
			login(0, 10), op(history.RevokeToken, 20, 30, 200), op(history.Call, 40, 50, 401), op(history.Refresh, 60, 70, 401, refresh("r0", "", "")),
		}, active, 0, []string{"I10"}},
		{"I6: a token is given of a key that was revoked", []history.Op{
			op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")), login(1031, 1040),
		}, nil, 0, []string{"I6"}},
		{"I6: likewise, by an auth-service that was not told in time", []history.Op{
			op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")), login(20_030, 20_040),
		}, active, 0, nil},
		{"I6: likewise, and for too long", []history.Op{
			op(history.RevokeKey, 20, 30, 200, uses(""), kid("k1")), login(20_031, 20_040),
		}, active, 0, []string{"I6"}},
		{"I6: a clock is wrong, and a good token is of the future", []history.Op{
			login(0, 10), op(history.Call, 5000, 5010, 401, code("token_invalid")), op(history.Call, 5000, 5010, 401, code("token_revoked")),
		}, []history.Window{skewed(5, 20)}, 0, []string{"I6"}},
		{"I6: a clock was wrong before", []history.Op{
			login(30, 40), op(history.Call, 5000, 5010, 401, code("token_invalid")),
		}, []history.Window{skewed(5, 20)}, 0, []string{"I6"}},

		{"I10: a dead session is refreshed", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")),
		}, nil, 0, []string{"I10"}},
		{"I10: a refresh beside the logout may win", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Refresh, 29, 50, 200, refresh("r0", "r1", "t1")),
		}, nil, 0, nil},
		{"I10: two successors", []history.Op{
			login(0, 10), op(history.Refresh, 20, 30, 200, refresh("r0", "r1", "t1")), op(history.Refresh, 20, 30, 200, refresh("r0", "r2", "t2")),
		}, nil, 0, []string{"I10"}},
		{"I10: the same successor twice", []history.Op{
			login(0, 10), op(history.Refresh, 20, 30, 200, refresh("r0", "r1", "t1")), op(history.Refresh, 20, 30, 200, refresh("r0", "r1", "t2")),
		}, nil, 0, nil},

		{"I12: a revoked token gets 503 after all has settled", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Call, 110, 120, 401), op(history.Call, 110, 120, 503, node(1)),
		}, nil, 100, []string{"I12"}},
		{"I12: a good token gets 503 after all has settled", []history.Op{login(0, 10), op(history.Call, 110, 120, 503)}, nil, 100, []string{"I12"}},
		{"I12: a revoked token was not tried everywhere", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Call, 110, 120, 401),
		}, nil, 100, []string{"I12"}},
		{"I12: two gateways refuse a token in different ways", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Call, 110, 120, 401, code("token_revoked")),
			op(history.Call, 110, 120, 401, node(1), code("token_invalid")),
		}, nil, 100, []string{"I12"}},
		{"I12: all as it should be", []history.Op{
			login(0, 10), op(history.Logout, 20, 30, 204), op(history.Call, 110, 120, 401), op(history.Call, 110, 120, 401, node(1)),
			op(history.Login, 5, 8, 200, relogin("s2", "t2")), op(history.Call, 110, 120, 200, uses("t2")),
		}, nil, 100, nil},

		{"I13: closed as revoked, and as fast", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Socket, 20, 45, 101, life(44, 0, 4401, false)),
			op(history.Stream, 20, 60, 200, life(60, 0, 0, false)),
		}, nil, 0, nil},
		{"I13: a live connection goes on after the bound", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Stream, 20, 9000, 200, life(2551, 0, 0, false)),
		}, active, 0, []string{"I13"}},
		{"I13: a live connection goes on within the bound, or while its gateway comes to itself", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Stream, 20, 9000, 200, life(2550, 0, 0, false)),
			op(history.Stream, 20, 9000, 200, life(8500, 8000, 0, false)),
		}, active, 0, nil},
		{"I13: a live connection goes on for two seconds while all is well", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Stream, 20, 9000, 200, life(1551, 0, 0, false)),
		}, nil, 0, []string{"I13"}},
		{"I13: a WebSocket is closed with another status than that of its cause", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Socket, 20, 60, 101, life(44, 0, 1013, false)),
		}, nil, 0, []string{"I13"}},
		{"I13: likewise while a fault is active", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Socket, 20, 60, 101, life(44, 0, 1013, false)),
		}, active, 0, nil},
		{"I13: a live connection of a dead session is silent, and still open after all has settled", []history.Op{
			login(0, 10), op(history.Logout, 40, 50, 204), op(history.Call, 9000, 9010, 401), op(history.Call, 9000, 9010, 401, node(1)),
			op(history.Socket, 20, 9501, 101, life(44, 0, 0, true)),
		}, active, 9000, []string{"I13"}},
		{"I13: a living WebSocket is closed as revoked", []history.Op{
			login(0, 10), op(history.Socket, 20, 60, 101, life(44, 0, 4401, false)),
		}, active, 0, []string{"I13"}},
		{"I13: a refresh closes a WebSocket as revoked", []history.Op{
			login(0, 10), op(history.Refresh, 40, 50, 200, refresh("r0", "r1", "t1")), op(history.Socket, 20, 60, 101, life(44, 0, 4401, false)),
		}, active, 0, []string{"I13"}},
		{"I13: a living connection ends for want of knowledge, or with its gateway", []history.Op{
			login(0, 10), op(history.Socket, 20, 60, 101, life(44, 0, 1013, false)), op(history.Stream, 20, 60, 200, life(44, 0, 0, false)),
		}, active, 0, nil},
		{"I13: a living connection ends while all is well", []history.Op{
			login(0, 10), op(history.Stream, 20, 60, 200, life(44, 0, 0, false)),
		}, nil, 0, []string{"I13"}},
		{"I13: the client ends it", []history.Op{
			login(0, 10), op(history.Socket, 20, 60, 101, life(44, 0, 0, true)),
		}, nil, 0, nil},
		{"I13: a blind gateway lets a connection go on", []history.Op{
			login(0, 10), op(history.Stream, 20, 9100, 200, node(1), life(2601, 0, 0, true)),
		}, []history.Window{window(100, 9000, 1)}, 0, []string{"I13"}},
		{"I13: a blind gateway lets a connection go on within the bound", []history.Op{
			login(0, 10), op(history.Stream, 20, 9100, 200, node(1), life(2600, 0, 0, false)),
		}, []history.Window{window(100, 9000, 1)}, 0, nil},
		{"I13: a role change may close a WebSocket as revoked, a clock that is wrong as expired", []history.Op{
			login(0, 10), op(history.Roles, 40, 50, 200), op(history.Socket, 20, 60, 101, life(44, 0, 4401, false)),
			op(history.Login, 5, 8, 200, relogin("s2", "t2"), func(o *history.Op) { o.User = "v" }),
			op(history.Socket, 60, 80, 101, uses("t2"), life(80, 0, 4401, false)),
		}, []history.Window{skewed(65, 70)}, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &history.History{Ops: c.ops, Windows: c.windows, Settled: time.Duration(c.settled) * ms, Nodes: 2}
			for i := range h.Ops {
				h.Ops[i].ID = i + 1
			}
			var got []string
			for _, v := range Check(h).Violations {
				got = append(got, v.Rule)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if rest := Check(h, c.want...).Violations; len(rest) != 0 {
				t.Errorf("left out rules are judged: %v", rest)
			}
		})
	}
}

func TestReport_counts_what_happened(t *testing.T) {
	h := &history.History{
		Ops: []history.Op{
			login(0, 10), op(history.Call, 20, 30, 200), op(history.Logout, 40, 50, 204), op(history.Call, 51, 55, 200),
			op(history.Call, 60, 70, 401), op(history.Call, 60, 70, 503), op(history.Call, 60, 70, 0),
			op(history.Refresh, 80, 90, 401, refresh("r0", "", "")), op(history.Stream, 21, 30, 200, life(29, 0, 0, true)),
			op(history.Socket, 21, 45, 101, life(29, 0, 4401, false)), op(history.Socket, 60, 70, 401),
		},
		Windows: []history.Window{{Fault: "gateway-1 is killed", End: ms}, {Fault: "gateway-2 is killed", End: ms}, window(100, 200, 1)},
	}
	got := Check(h)
	want := Report{Requests: 5, Accepted: 2, Refused: 1, Unsure: 1, Failed: 1, Logins: 1, Revocations: 1, Refreshes: 1, Live: 2, Faults: 2, Exposure: []time.Duration{ms},
		ByKind: map[history.Kind]int{history.Logout: 1}, LiveEnds: map[string]int{"ours": 1, "socket_4401": 1}, FaultKinds: map[string]int{"gateway is killed": 2}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	sum := want
	sum.Add(want)
	if sum.Requests != 10 || sum.Revocations != 2 || sum.ByKind[history.Logout] != 2 || sum.FaultKinds["gateway is killed"] != 4 || len(sum.Exposure) != 2 {
		t.Errorf("the sum is %+v", sum)
	}
	line := fmt.Sprint(&got)
	if line != "5 requests (2 accepted, 1 refused, 1 answered 503, 1 unanswered), 2 live connections, 1 logins, 1 refreshes, 1 revocations, 2 faults, 0 violations; "+
		"accepted within the bound after an acknowledgement: 1, median 1ms, latest 1ms" {
		t.Error(line)
	}
}

func TestQuantile(t *testing.T) {
	ds := make([]time.Duration, 100)
	for i := range ds {
		ds[i] = time.Duration(i)
	}
	got := []time.Duration{Quantile(nil, 0.5), Quantile(ds, 0.5), Quantile(ds, 1)}
	if !slices.Equal(got, []time.Duration{0, 50, 99}) {
		t.Error(got)
	}
}
