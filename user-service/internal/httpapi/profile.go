package httpapi

import (
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/user-service/internal/user"
)

// profileBody is a profile as JSON. What is not set is null.
type profileBody struct {
	ID          string    `json:"id"`
	Email       string    `json:"email"`
	FirstName   *string   `json:"first_name"`
	LastName    *string   `json:"last_name"`
	DisplayName *string   `json:"display_name"`
	Locale      *string   `json:"locale"`
	TimeZone    *string   `json:"time_zone"`
	AvatarURL   *string   `json:"avatar_url"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// optional gives a text, and nil for one that is not set.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// showProfile answers GET /users/me.
func (a *API) showProfile(c echo.Context) error {
	id, err := person(c)
	if err != nil {
		return err
	}
	p, err := a.Users.Profile(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if noneMatch(c.Request().Header.Values("If-None-Match"), p.Tag()) {
		return answerProfile(c, &p)
	}
	tagProfile(c, &p)
	return c.NoContent(http.StatusNotModified)
}

// editProfile answers PATCH /users/me.
func (a *API) editProfile(c echo.Context) error {
	id, err := person(c)
	if err != nil {
		return err
	}
	patch, err := readPatch(c)
	if err != nil {
		return err
	}
	edit := user.Edit{ID: id, Patch: patch}
	if values := c.Request().Header.Values("If-Match"); len(values) > 0 {
		edit.Allowed = readCondition(values).matches
	}
	p, err := a.Users.Edit(c.Request().Context(), edit)
	if err != nil {
		return err
	}
	return answerProfile(c, &p)
}

// answerProfile answers with a profile.
func answerProfile(c echo.Context, p *user.Profile) error {
	tagProfile(c, p)
	return c.JSON(http.StatusOK, profileBody{
		ID: p.ID, Email: p.Email, FirstName: optional(p.FirstName), LastName: optional(p.LastName),
		DisplayName: optional(p.DisplayName), Locale: optional(p.Locale), TimeZone: optional(p.TimeZone),
		AvatarURL: optional(p.AvatarURL), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	})
}

// tagProfile sets the headers by which a client can keep the profile and ask
// whether it is still the same.
func tagProfile(c echo.Context, p *user.Profile) {
	h := c.Response().Header()
	h.Set("ETag", `"`+p.Tag()+`"`)
	h.Set("Cache-Control", "private, no-cache")
}

// mediaTypes that a patch may have; both are read as a merge patch.
const (
	mediaTypePatch = "application/merge-patch+json"
	mediaTypeJSON  = echo.MIMEApplicationJSON
)

// readPatch reads the body as a merge patch of a profile.
func readPatch(c echo.Context) (user.Patch, error) {
	want := mediaTypePatch
	if got, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type")); err == nil && got == mediaTypeJSON {
		want = mediaTypeJSON
	}
	var body patchBody
	if err := httpx.BindAs(c, want, &body); err != nil {
		if fault.Is(err, fault.UnsupportedMediaType) { // RFC 5789 section 2.2
			c.Response().Header().Set("Accept-Patch", mediaTypePatch+", "+mediaTypeJSON)
		}
		return user.Patch{}, err
	}
	return body.patch()
}
