package gatewayapp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// newRoles follows what roles permit, which routes ask for.
func newRoles(a *App) *authn.RemoteRoles {
	r := authn.NewRemoteRoles(a.cfg.AuthURL, time.Now, a.log)
	r.Changed = func(t contract.RoleTable) {
		if a.routes != nil {
			a.warnOfPermissions(a.routes.Table(), t)
		}
	}
	return r
}

// watchRoles has the role table fetched anew when the auth-service says that it
// changed, and when the broker is found again: a message may have been lost
// meanwhile.
func (a *App) watchRoles(ctx context.Context) error {
	changed, err := a.bus.Subscribe(a.bus.Subjects().RolesChanged(), func(bus.Message) { a.roles.Stale() })
	if err != nil {
		return fmt.Errorf("watch for a changed role table: %w", err)
	}
	defer changed.Stop()
	a.bus.OnReconnect(a.roles.Stale)
	<-ctx.Done()
	return nil
}

// warnOfPermissions logs the permissions that routes ask for and no role gives:
// nobody can pass there.
func (a *App) warnOfPermissions(table *route.Table, roles contract.RoleTable) {
	given := make(map[string]bool)
	for _, permissions := range roles.Roles {
		for _, p := range permissions {
			given[p] = true
		}
	}
	wanted := make(map[string][]string)
	for _, r := range table.Routes() {
		for _, p := range r.Permissions {
			if !given[p] {
				wanted[p] = append(wanted[p], r.Name)
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(wanted)) {
		a.log.Warn("no role gives a permission that routes ask for", "permission", p, "routes", wanted[p])
	}
}
