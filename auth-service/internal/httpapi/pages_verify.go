package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// The page that confirms the address of a new account asks for the password.
// Who registered knows it; whoever else reads the letter says with it which
// password holds from then on, so that nobody can register somebody else's
// address and have the owner make his password good.

func verifyForm(token string, asks auth.Confirming) page {
	p := page{
		Title: "Confirm your email address", Message: "Press the button to confirm that this address is yours.",
		Post: "/auth/email/verify?" + pageParameter + "=1", Token: token, Button: "Confirm",
	}
	switch {
	case asks.Contested:
		p.Password = ownPasswordField
		p.Message = "This address was registered more than once, perhaps not always by you. Enter the password that you want for your account: no other one will work."
	case asks.Registration:
		p.Password = ownPasswordField
		p.Message = "Enter the password that you chose when you registered, and press the button. If you did not register, close this page."
	}
	return p
}

func (a *api) verifyPage(c echo.Context) error {
	token := c.QueryParam("token")
	asks, err := a.Service.LookAtConfirmation(c.Request().Context(), token)
	if err != nil {
		return err
	}
	return a.show(c, http.StatusOK, verifyForm(token, asks))
}

func (a *api) verifyFromPage(c echo.Context, who auth.Caller) error {
	form, err := httpx.Form(c)
	if err != nil {
		return err
	}
	ctx, token := c.Request().Context(), form.Get("token")
	asks, err := a.Service.LookAtConfirmation(ctx, token)
	if err != nil {
		return err
	}
	in := auth.Confirmation{Token: token, Password: form.Get("new_password")}
	in.Keep = !asks.Contested && form.Get("sure") == ""
	err = a.Service.ConfirmEmail(ctx, who, in)
	again := verifyForm(token, asks)
	switch fault.KindOf(err) {
	case "":
		return a.show(c, http.StatusOK, page{Title: "Thank you", Message: "Your email address is confirmed. You can close this page."})
	case fault.InvalidCredentials:
		again.Sure = true
		again.Message = "The address was registered with another password. If you only mistyped it, enter the right one. " +
			"If you enter another one again, it becomes the password of the account, and whoever knows the old one is signed out."
		return a.show(c, http.StatusUnprocessableEntity, again)
	case fault.WeakPassword, fault.PasswordReused: // the link is still good
		again.Sure = form.Get("sure") != ""
		return a.showFailure(c, err, again)
	case fault.ValidationFailed:
		if asks.Contested {
			return a.show(c, http.StatusUnprocessableEntity, again)
		}
	}
	return a.showFailure(c, err, page{Title: "This link does not work", Message: "It was used before, or it is too old. Sign in to have another one sent."})
}
