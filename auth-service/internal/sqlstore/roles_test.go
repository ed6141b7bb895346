package sqlstore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func TestStore_theRoleTableOfTheLastStartIsPublished(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, _ := open(t, url)
		if _, err := s.RoleTable(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Errorf("before the first: %v", err)
		}
		var last int64
		for _, roles := range []map[string][]string{{"user": {}, "clerk": {"orders:read"}}, {"user": {}}} {
			for range 2 { // the second at the same time
				if err := s.PublishRoles(t.Context(), contract.RoleTable{Roles: roles}, authtest.Start()); err != nil {
					t.Fatal(err)
				}
				got, err := s.RoleTable(t.Context())
				if diff := cmp.Diff(roles, got.Roles); diff != "" || err != nil || got.Version <= last {
					t.Errorf("version %d after %d, %v (-want +got):\n%s", got.Version, last, err, diff)
				}
				last = got.Version
			}
		}
	})
}
