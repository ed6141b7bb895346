package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
)

// changePassword answers with a fresh session: as cookies if they are asked
// for, or if the client keeps those of the session in cookies already.
func (a *api) changePassword(c echo.Context, who auth.Caller) error {
	var body struct {
		CurrentPassword string `json:"current_password"`
		NewPassword     string `json:"new_password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	if err := required("current_password", body.CurrentPassword, "new_password", body.NewPassword); err != nil {
		return err
	}
	tokens, err := a.Service.ChangePassword(c.Request().Context(), who, body.CurrentPassword, body.NewPassword)
	if err != nil {
		return err
	}
	return answerTokens(c, tokens, asCookies || a.keepsCookies(c.Request(), who))
}

// forgotPassword answers the same for every address (S-W6).
func (a *api) forgotPassword(c echo.Context, who auth.Caller) error {
	var body struct {
		Email string `json:"email"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("email", body.Email); err != nil {
		return err
	}
	if err := a.Service.ForgotPassword(c.Request().Context(), who, body.Email); err != nil {
		return err
	}
	return accepted(c, "reset_sent")
}

func (a *api) resetPassword(c echo.Context, who auth.Caller) error {
	if c.QueryParam(pageParameter) != "" {
		return a.resetFromPage(c, who)
	}
	var body struct {
		Token       string `json:"token"`
		NewPassword string `json:"new_password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("token", body.Token, "new_password", body.NewPassword); err != nil {
		return err
	}
	device, err := a.Service.ResetPassword(c.Request().Context(), who, body.Token, body.NewPassword)
	if err != nil {
		return err
	}
	setDevice(c, device)
	c.Response().Header().Set(contract.HeaderDeviceToken, device) // for a client without cookies
	return c.NoContent(http.StatusNoContent)
}
