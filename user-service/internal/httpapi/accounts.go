package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
)

// accountBody is an account as JSON, for administrators.
type accountBody struct {
	ID            string     `json:"id"`
	Email         string     `json:"email"`
	EmailVerified bool       `json:"email_verified"`
	FirstName     *string    `json:"first_name"`
	LastName      *string    `json:"last_name"`
	DisplayName   *string    `json:"display_name"`
	Roles         []string   `json:"roles"`
	Status        string     `json:"status"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
	LastLoginAt   *time.Time `json:"last_login_at"`
}

// accountsBody is a page of accounts as JSON.
type accountsBody struct {
	Items      []accountBody `json:"items"`
	NextCursor *string       `json:"next_cursor"`
}

// newAccountBody gives the JSON form of an account.
func newAccountBody(a *user.Account) accountBody {
	body := accountBody{
		ID: a.ID, Email: a.Email, EmailVerified: a.EmailVerified, FirstName: optional(a.FirstName), LastName: optional(a.LastName),
		DisplayName: optional(a.DisplayName), Roles: a.Roles, Status: a.Status, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt,
	}
	if body.Roles == nil {
		body.Roles = []string{}
	}
	if !a.LastLoginAt.IsZero() {
		body.LastLoginAt = &a.LastLoginAt
	}
	return body
}

// listAccounts answers GET /admin/users.
func (a *API) listAccounts(c echo.Context) error {
	if _, err := caller(c); err != nil {
		return err
	}
	filter, err := readFilter(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	page, err := a.Users.Accounts(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	body := accountsBody{Items: make([]accountBody, 0, len(page.Items))}
	for i := range page.Items {
		body.Items = append(body.Items, newAccountBody(&page.Items[i]))
	}
	if page.Next != nil {
		body.NextCursor = new(encodeCursor(*page.Next))
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, body)
}

// showAccount answers GET /admin/users/{id}.
func (a *API) showAccount(c echo.Context) error {
	if _, err := caller(c); err != nil {
		return err
	}
	account, err := a.Users.Account(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, newAccountBody(&account))
}

// readFilter reads the query of a list. A parameter that is known may be given
// once; others are not looked at. What is wrong is told for all at once.
func readFilter(rawQuery string) (user.Filter, error) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return user.Filter{}, fault.Wrap(fault.Malformed, "The query is malformed.", err)
	}
	var problems []fault.Field
	value := func(name string) string {
		if len(query[name]) > 1 {
			problems = append(problems, fault.Field{Field: name, Message: "must be given once"})
		}
		return query.Get(name)
	}
	f := user.Filter{Query: value("query"), Role: value("role"), Status: value("status"), Limit: user.DefaultLimit}
	if text := value("limit"); query.Has("limit") {
		// What is no number is left at 0, which the rules refuse with the rest.
		f.Limit, _ = strconv.Atoi(text)
	}
	if text := value("cursor"); text != "" {
		var ok bool
		if f.After, ok = decodeCursor(text); !ok {
			problems = append(problems, fault.Field{Field: "cursor", Message: "must come from next_cursor"})
		}
	}
	if len(problems) > 0 {
		return user.Filter{}, fault.Invalid(problems...)
	}
	return f, nil
}
