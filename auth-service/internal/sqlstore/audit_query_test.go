package sqlstore

import (
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

func TestNumberQuery_has_few_texts(t *testing.T) {
	texts := map[string]bool{}
	for n := 1; n <= 512; n++ {
		query, args := numberQuery(make([]trail.Entry, n))
		texts[query] = true
		if len(args) < 4*n || len(args) > 4*8*n {
			t.Fatalf("%d entries have %d arguments", n, len(args))
		}
	}
	if len(texts) != len(numberAtOnce) {
		t.Errorf("%d texts, want %d", len(texts), len(numberAtOnce))
	}
}

func TestAudit_every_filter_that_names_somebody_or_something_has_an_index(t *testing.T) {
	db, err := sqldb.Open(t.Context(), testenv.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]auth.AuditFilter{
		"user": {UserID: "x"}, "actor": {ActorID: "x"}, "target": {TargetID: "x"}, "session": {SessionID: "x"},
		"ip": {Address: "x"}, "request_id": {RequestID: "x"}, "event": {Event: "x"},
	} {
		f.Limit = 9
		query, args := auditQuery(f)
		var plan []struct {
			ID      int    `db:"id"`
			Parent  int    `db:"parent"`
			NotUsed int    `db:"notused"`
			Detail  string `db:"detail"`
		}
		if err := db.SelectContext(t.Context(), &plan, `EXPLAIN QUERY PLAN `+query, args...); err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasPrefix(step.Detail, "SCAN audit") {
				t.Errorf("%s reads the whole trail: %s", name, step.Detail)
			}
		}
	}
}
