package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func (a *api) login(c echo.Context, who auth.Caller) error {
	var body struct {
		Email    string  `json:"email"`
		Password *string `json:"password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	if body.Password == nil {
		return required("email", body.Email, "password", "")
	}
	if err := required("email", body.Email); err != nil {
		return err
	}
	// An empty password is a wrong one, with the same answer after the same work.
	tokens, err := a.Service.Login(c.Request().Context(), who, body.Email, *body.Password)
	a.metrics.logins.count(err)
	if fault.Is(err, fault.MFARequired) {
		c.Response().Header().Set("Cache-Control", "no-store") // it holds a token, too
	}
	if err != nil {
		return err
	}
	return answerTokens(c, tokens, asCookies)
}

// refreshToken finds the refresh token: the one of the body, else the one of
// the cookie.
func (a *api) refreshToken(r *http.Request, inBody string) (raw string, fromCookie bool, err error) {
	if inBody != "" {
		return inBody, false, nil
	}
	raw, err = refreshCookie(r)
	if err != nil || raw == "" {
		return "", false, err
	}
	return raw, true, a.checkOrigin(r)
}

type refreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

// refresh answers with cookies also where the token came in one: else a script
// that must not read the cookie could have its content in the body.
func (a *api) refresh(c echo.Context, who auth.Caller) error {
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	var body refreshBody
	if err := bindOptional(c, &body); err != nil {
		return err
	}
	raw, fromCookie, err := a.refreshToken(c.Request(), body.RefreshToken)
	if err != nil {
		return err
	}
	if raw == "" {
		return fault.New(fault.InvalidRefreshToken, "The request has no refresh token.")
	}
	tokens, err := a.Service.Refresh(c.Request().Context(), who, raw)
	a.metrics.refreshes.count(err)
	if err != nil {
		if fromCookie && fault.Is(err, fault.InvalidRefreshToken) {
			clearCookies(c)
		}
		return err
	}
	return answerTokens(c, tokens, asCookies || fromCookie)
}

// logout ends the session of the access token, or else of the refresh token.
// Whoever finds the session over already forgets the cookies, too.
func (a *api) logout(c echo.Context, who auth.Caller) error {
	var body refreshBody
	if err := bindOptional(c, &body); err != nil {
		return err
	}
	err := a.endOwnSession(c, who, body.RefreshToken)
	switch fault.KindOf(err) {
	case "", fault.TokenExpired, fault.TokenRevoked, fault.InvalidRefreshToken:
		if hasCookies(c.Request()) {
			clearCookies(c)
		}
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// endOwnSession lets an access token that is only out of date end its own
// session all the same, and one that no longer counts does not keep a refresh
// token from it.
func (a *api) endOwnSession(c echo.Context, stranger auth.Caller, inBody string) error {
	ctx := c.Request().Context()
	who, err := a.verify(c)
	if err == nil {
		err = a.Service.Logout(ctx, who)
	}
	if err == nil || !endable(err) {
		return err
	}
	if fault.Is(err, fault.TokenRevoked) && who.Claims != nil {
		// The database may have lost the session, and the gateways not.
		if err := a.Service.LogoutLost(ctx, who); err != nil {
			return err
		}
	}
	raw, _, refreshErr := a.refreshToken(c.Request(), inBody)
	if refreshErr != nil {
		return refreshErr
	}
	if raw == "" {
		return err
	}
	return a.Service.LogoutByRefreshToken(ctx, stranger, raw)
}

// endable reports whether a refresh token may stand in for an access token
// that failed in this way.
func endable(err error) bool {
	switch fault.KindOf(err) {
	case fault.TokenMissing, fault.TokenExpired, fault.TokenRevoked:
		return true
	}
	return false
}

func (a *api) logoutAll(c echo.Context, who auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	if err := a.Service.LogoutAll(c.Request().Context(), who); err != nil {
		return err
	}
	if hasCookies(c.Request()) {
		clearCookies(c)
	}
	return c.NoContent(http.StatusNoContent)
}
