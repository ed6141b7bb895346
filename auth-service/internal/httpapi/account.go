package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

// verificationSent is said to everybody who registers, for a known address and
// an unknown one alike (S-W6).
const verificationSent = "verification_sent"

func (a *api) register(c echo.Context, who auth.Caller) error {
	var body struct {
		Email     string `json:"email"`
		Password  string `json:"password"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	err := a.Service.Register(c.Request().Context(), who, auth.Registration{
		Email: body.Email, Password: body.Password, FirstName: body.FirstName, LastName: body.LastName,
	})
	if err != nil {
		return err
	}
	return accepted(c, verificationSent)
}

func (a *api) me(c echo.Context, who auth.Caller) error {
	account, err := a.Service.Me(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, meAnswer{
		userAnswer: userOf(account), MFAEnabled: account.MFAEnabled, CreatedAt: account.CreatedAt.UTC(),
	})
}

func (a *api) deleteAccount(c echo.Context, who auth.Caller) error {
	var body struct {
		Password string `json:"password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("password", body.Password); err != nil {
		return err
	}
	if err := a.Service.DeleteAccount(c.Request().Context(), who, body.Password); err != nil {
		return err
	}
	if hasCookies(c.Request()) {
		clearCookies(c)
	}
	return accepted(c, "deletion_started")
}

func (a *api) verifyEmail(c echo.Context, who auth.Caller) error {
	if c.QueryParam(pageParameter) != "" {
		return a.verifyFromPage(c, who)
	}
	var body struct {
		Token       string `json:"token"`
		NewPassword string `json:"new_password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("token", body.Token); err != nil {
		return err
	}
	in := auth.Confirmation{Token: body.Token, Password: body.NewPassword}
	if err := a.Service.ConfirmEmail(c.Request().Context(), who, in); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) resendVerification(c echo.Context, who auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	if err := a.Service.ResendVerification(c.Request().Context(), who); err != nil {
		return err
	}
	return accepted(c, verificationSent)
}

func (a *api) changeEmail(c echo.Context, who auth.Caller) error {
	var body struct {
		NewEmail        string `json:"new_email"`
		CurrentPassword string `json:"current_password"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("new_email", body.NewEmail, "current_password", body.CurrentPassword); err != nil {
		return err
	}
	if err := a.Service.ChangeEmail(c.Request().Context(), who, body.NewEmail, body.CurrentPassword); err != nil {
		return err
	}
	return accepted(c, verificationSent)
}
