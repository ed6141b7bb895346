// Package httpapi answers HTTP for the user-service.
//
// It decides how requests are read and answers are written: merge patches (RFC
// 7396), conditional requests (RFC 9110 section 13), filters and cursors. It
// promises that nothing is read or changed for a caller whose access token it
// has not verified itself. It refuses, with the field's name, whatever it does
// not understand. What a profile may hold is decided in package user.
package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/user-service/internal/user"
)

// API is the service's routes.
type API struct {
	Users *user.Service
	Auth  *authn.Authenticator
}

// Register adds the routes.
func (a *API) Register(e *echo.Echo) {
	signedIn := echo.WrapMiddleware(a.Auth.Require)
	admin := echo.WrapMiddleware(func(next http.Handler) http.Handler {
		return a.Auth.RequireRole(contract.RoleAdmin, next)
	})
	e.GET("/users/me", a.showProfile, signedIn)
	e.PATCH("/users/me", a.editProfile, signedIn)
	e.GET("/admin/users", a.listAccounts, admin)
	e.GET("/admin/users/:id", a.showAccount, admin)
}

// caller returns the claims of who calls, and notes whose they are for the log.
func caller(c echo.Context) (*contract.Claims, error) {
	ctx := c.Request().Context()
	claims, ok := authn.ClaimsFrom(ctx)
	if !ok {
		return nil, fault.New(fault.TokenMissing, "This request needs an access token.")
	}
	httpx.LogUser(ctx, claims.Subject)
	return claims, nil
}

// person returns the id of the person who calls. A service account is nobody
// with a profile, and none is waited for.
func person(c echo.Context) (string, error) {
	claims, err := caller(c)
	if err != nil {
		return "", err
	}
	if claims.OfServiceAccount() {
		return "", fault.New(fault.InsufficientRole, "This is for people; the token is that of a service account.")
	}
	return claims.Subject, nil
}
