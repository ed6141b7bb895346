package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse.internal/shared/embedded/testenv"
)

func TestAPI_export_gives_all_of_ones_own_and_nothing_of_others(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		w := newWorldOn(t, url)
		w.register(ada)
		first := w.login(ada, password)
		w.call("POST", "/auth/logout", nil, bearer(first.AccessToken)).want(204)
		mine := w.login(ada, password)
		root := w.admin()
		w.call("PUT", "/admin/users/"+mine.User.ID+"/roles", fields{"roles": []string{"clerk"}}, bearer(root.AccessToken), header("User-Agent", "of the administrator")).want(200)
		w.clock.advance(1)
		mine = decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": mine.RefreshToken}).want(200))
		a := w.call("GET", "/auth/me/export", nil, bearer(mine.AccessToken)).want(200)
		if got := a.header.Get("Content-Type"); got != "application/x-ndjson" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("content type %q", got)
		}
		count := map[string]int{}
		for line := range strings.Lines(string(a.body)) {
			var part map[string]map[string]any
			if err := json.Unmarshal([]byte(line), &part); err != nil || len(part) != 1 {
				t.Fatalf("%v: %s", err, line)
			}
			for kind, body := range part {
				count[kind]++
				if kind == "event" {
					count["event "+fmt.Sprint(body["event"])]++
				}
			}
		}
		if count["account"] != 1 || count["session"] != 2 || count["event login"] != 2 || count["event logout"] != 1 || count["event roles_changed"] != 1 || count["event account_exported"] != 1 {
			t.Errorf("%v\n%s", count, a.body)
		}
		for _, secret := range []string{root.User.ID, root.SessionID, "of the administrator", "$argon2"} {
			if strings.Contains(string(a.body), secret) {
				t.Errorf("the export holds %q", secret)
			}
		}
		w.call("GET", "/auth/me/export", nil).wantProblem(401, "token_missing")
	})
}
