package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/shared/embedded/testenv"
)

type auditEvent struct {
	Number                   uint64
	Hash, ID, Event, Outcome string
	ActorID                  string `json:"actor_id"`
	TargetID                 string `json:"target_id"`
	SessionID                string `json:"session_id"`
	IP                       string
	UserAgent                string `json:"user_agent"`
	RequestID                string `json:"request_id"`
	At                       time.Time
}

type auditPage struct {
	Items      []auditEvent
	NextCursor *string `json:"next_cursor"`
}

// linkTrail gives the events of the trail their numbers.
func (w *world) linkTrail() {
	w.t.Helper()
	seal, err := trail.NewSealer(make([]byte, trail.KeySize))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := (&trail.Keeper{Store: w.store.Store.(trail.Store), Seal: seal, Now: w.clock.Now}).Link(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestAudit_S_A1_filters_and_cursors(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		w := newWorldOn(t, url)
		w.register(ada)
		mine := w.login(ada, password)
		for range 3 {
			w.clock.advance(time.Second)
			w.call("POST", "/auth/login", fields{"email": ada, "password": "wrong wrong wrong"}, header("User-Agent", "guesser/1")).want(401)
		}
		w.clock.advance(time.Second)
		admin := bearer(w.admin().AccessToken)
		read := func(query string) auditPage {
			return decoded[auditPage](w.call("GET", "/admin/audit?"+query, nil, admin).want(200))
		}
		first := read("user=" + mine.User.ID + "&event=login&limit=3")
		if len(first.Items) != 3 || first.NextCursor == nil || first.Items[0].Outcome != "failure" || first.Items[0].UserAgent != "guesser/1" ||
			first.Items[0].RequestID == "" || first.Items[0].IP == "" {
			t.Fatalf("%+v", first)
		}
		w.login(ada, password) // what comes later moves no cursor
		rest := read("user=" + mine.User.ID + "&event=login&limit=3&cursor=" + *first.NextCursor)
		if len(rest.Items) != 1 || rest.Items[0].SessionID != mine.SessionID || rest.NextCursor != nil {
			t.Errorf("the rest: %+v", rest)
		}
		for query, want := range map[string]int{
			"session=" + mine.SessionID:                           1,
			"actor=" + mine.User.ID + "&event=login":              2,
			"target=" + mine.User.ID + "&outcome=failure":         3,
			"ip=203.0.113.1":                                      0,
			"request_id=" + first.Items[1].RequestID:              1,
			"user=" + mine.User.ID + "&from=2030-01-01T00:00:00Z": 0,
		} {
			if got := read(query); len(got.Items) != want {
				t.Errorf("%s: %d events, want %d: %+v", query, len(got.Items), want, got.Items)
			}
		}
		w.call("GET", "/admin/audit?outcome=perhaps", nil, admin).wantProblem(422, "validation_failed")
	})
}

func TestAudit_export_is_JSON_lines_in_the_order_of_the_trail(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		w := newWorldOn(t, url)
		w.register(ada)
		w.login(ada, password)
		admin := bearer(w.admin().AccessToken)
		w.linkTrail()
		export := func(query string) []auditEvent {
			t.Helper()
			a := w.call("GET", "/admin/audit/export?"+query, nil, admin).want(http.StatusOK)
			if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
				t.Errorf("content type %q", got)
			}
			var out []auditEvent
			for line := range strings.Lines(string(a.body)) {
				var e auditEvent
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				out = append(out, e)
			}
			return out
		}
		all := export("")
		for i, e := range all {
			if e.Number != uint64(i+1) || len(e.Hash) != 64 || e.ID == "" {
				t.Fatalf("line %d: %+v", i, e)
			}
		}
		if len(all) < 4 {
			t.Fatalf("%d events", len(all))
		}
		if got := export(fmt.Sprintf("after=%d", len(all)-1)); len(got) != 1 || got[0].Number != uint64(len(all)) {
			t.Errorf("the last event: %+v", got)
		}
		if got := export(fmt.Sprintf("after=%d", len(all))); len(got) != 0 {
			t.Errorf("what has no number yet: %+v", got)
		}
		w.linkTrail()
		if got := export(fmt.Sprintf("after=%d&event=audit_exported", len(all))); len(got) != 3 {
			t.Errorf("exports are events themselves: %+v", got)
		}
		w.call("GET", "/admin/audit/export?after=x", nil, admin).wantProblem(422, "validation_failed")
		w.call("GET", "/admin/audit/export", nil, bearer(w.login(ada, password).AccessToken)).wantProblem(403, "insufficient_role")
	})
}
