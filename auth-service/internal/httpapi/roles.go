package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/shared/contract"
)

// RoleTables reads the role table that is published.
type RoleTables interface {
	RoleTable(ctx context.Context) (contract.RoleTable, error)
}

// roleAnswer is a role as administrators see it.
type roleAnswer struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	BuiltIn     bool     `json:"built_in"`
	Inherits    []string `json:"inherits"`
	Permissions []string `json:"permissions"`           // its own
	Effective   []string `json:"effective_permissions"` // with those that it inherits
}

func (a *api) listRoles(c echo.Context, _ auth.Caller) error {
	return answerPage(c, auth.Page[*role.Role]{Items: a.Service.Roles()}, func(r *role.Role) roleAnswer {
		return roleAnswer{
			Name: r.Name, Description: r.Description, BuiltIn: r.BuiltIn,
			Inherits: list(r.Inherits), Permissions: list(r.Permissions), Effective: list(r.Effective),
		}
	})
}

// roleTable answers gateways and services. It is read from the database every
// time, so that all replicas tell the same, also while they are replaced one
// after the other by such as have other roles.
func (a *api) roleTable(c echo.Context) error {
	table, err := a.RoleTables.RoleTable(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, table)
}
