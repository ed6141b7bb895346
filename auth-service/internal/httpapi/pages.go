package httpapi

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

//go:embed pages/page.html
var pageFiles embed.FS

// pageParameter marks, in the query, a form that one of our own pages posts.
// Without it the endpoints take JSON alone, as all others do.
const pageParameter = "page"

// page is what the links in letters lead to. Showing it changes nothing, so
// that a scanner which follows every link in a mail does no harm: only its
// button does.
type page struct {
	Title    string
	Message  string
	Problems []string
	Post     string // path and query that the button posts to; empty: no button
	Token    string
	Password passwordField
	Sure     bool // the form says that a password is meant that was refused first
	Button   string
	Nonce    string
}

// passwordField is the field for a password in the form of a page. The zero
// value is none.
type passwordField struct {
	Label, Autocomplete string
}

var (
	newPasswordField = passwordField{"New password", "new-password"}
	ownPasswordField = passwordField{"Password", "current-password"}
)

func resetForm(token string) page {
	return page{
		Title: "Choose a new password", Message: "All devices that are signed in will be signed out.",
		Post: "/auth/password/reset?" + pageParameter + "=1", Token: token, Password: newPasswordField, Button: "Set the password",
	}
}

func (a *api) resetPage(c echo.Context) error {
	return a.show(c, http.StatusOK, resetForm(c.QueryParam("token")))
}

func (a *api) resetFromPage(c echo.Context, who auth.Caller) error {
	form, err := httpx.Form(c)
	if err != nil {
		return err
	}
	device, err := a.Service.ResetPassword(c.Request().Context(), who, form.Get("token"), form.Get("new_password"))
	switch fault.KindOf(err) {
	case "":
		setDevice(c, device)
		return a.show(c, http.StatusOK, page{Title: "Thank you", Message: "Your password is changed. You can sign in with it now."})
	case fault.WeakPassword, fault.PasswordReused: // the link is still good
		return a.showFailure(c, err, resetForm(form.Get("token")))
	}
	return a.showFailure(c, err, page{Title: "This link does not work", Message: "It was used before, or it is too old. Ask for another one on the sign-in page."})
}

// showFailure shows a page for what the visitor can do something about, and
// leaves every other failure to be answered as everywhere.
func (a *api) showFailure(c echo.Context, err error, p page) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch f.Kind {
	case fault.ValidationFailed, fault.WeakPassword, fault.PasswordReused:
	default:
		return err
	}
	if p.Post != "" {
		p.Problems = append(p.Problems, f.Detail)
		for _, field := range f.Fields {
			p.Problems = append(p.Problems, field.Field+" "+field.Message)
		}
	}
	return a.show(c, http.StatusUnprocessableEntity, p)
}

// show answers with a page that loads nothing, runs nothing, posts to this
// site alone, and does not tell its address, which holds a token, to anybody.
func (a *api) show(c echo.Context, status int, p page) error {
	p.Nonce = rand.Text()
	var body bytes.Buffer
	if err := a.pages.Execute(&body, p); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	header := c.Response().Header()
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'nonce-"+p.Nonce+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	return c.HTMLBlob(status, body.Bytes())
}
