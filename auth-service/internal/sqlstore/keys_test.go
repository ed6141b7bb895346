package sqlstore_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

func TestStore_F34_aRevokedKeyIsInTheRevocationLogWithTheSameCommit(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, db := open(t, url)
		at := authtest.Start()
		save := func(state string) {
			t.Helper()
			err := s.SaveKeys(t.Context(), func([]sqlstore.Key) ([]sqlstore.Key, error) {
				return []sqlstore.Key{
					{KeyID: "signs", Use: contract.KeyUseSignature, State: state, CreatedAt: at, RetiredAt: at},
					{KeyID: "events", Use: contract.KeyUseEvents, State: state, CreatedAt: at, RetiredAt: at},
				}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var rows []struct {
			ID        string `db:"id"`
			Kind      int64  `db:"kind"`
			Subject   string `db:"subject"`
			ExpiresAt int64  `db:"expires_at"`
		}
		for _, c := range []struct {
			state string
			want  int
		}{{"active", 0}, {"retired", 0}, {"revoked", 1}, {"revoked", 1}} {
			save(c.state)
			rows = nil
			if err := db.SelectContext(t.Context(), &rows, `SELECT id, kind, subject, expires_at FROM revocations`); err != nil {
				t.Fatal(err)
			}
			if len(rows) != c.want {
				t.Fatalf("%d revocations once the keys are %s, want %d", len(rows), c.state, c.want)
			}
		}
		got := rows[0]
		if got.ID != sqlstore.KeyRevocation("signs") || got.Kind != int64(contract.RevokeKey) || got.Subject != "signs" ||
			sqldb.Time(got.ExpiresAt).Sub(at) < time.Hour {
			t.Errorf("revocation %+v", got)
		}
	})
}
