package httpapi

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

func (a *api) setRoles(c echo.Context, who auth.Caller) error {
	id, roles, err := rolesOf(c)
	if err != nil {
		return err
	}
	account, err := a.Service.SetRoles(c.Request().Context(), who, id, roles)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, accountOf(account))
}

// rolesOf reads whose roles are to be replaced, and by which.
func rolesOf(c echo.Context) (id string, roles []string, err error) {
	if id, err = pathID(c); err != nil {
		return "", nil, err
	}
	var body struct {
		Roles *[]string `json:"roles"`
	}
	if err := bind(c, &body); err != nil {
		return "", nil, err
	}
	if body.Roles == nil {
		return "", nil, required("roles", "")
	}
	return id, *body.Roles, nil
}

// onUser makes an endpoint of a rule that does something to a user and has
// nothing to say about it.
func (a *api) onUser(rule func(ctx context.Context, who auth.Caller, userID string) error) handler {
	return func(c echo.Context, who auth.Caller) error {
		id, err := pathID(c)
		if err != nil {
			return err
		}
		if err := bindNothing(c); err != nil {
			return err
		}
		if err := rule(c.Request().Context(), who, id); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
}

func (a *api) userSessions(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	q := queryOf(c)
	wanted, ended := q.page(), q.flag("ended")
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.UserSessions(c.Request().Context(), who, id, ended, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, sessionOf)
}

// endAnySession tells with ?wait=1 how many of the live gateways refuse the
// session's tokens by now. The rules wait for them in any case.
func (a *api) endAnySession(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	q := queryOf(c)
	wait := q.flag("wait")
	if err := q.err(); err != nil {
		return err
	}
	if err := bindNothing(c); err != nil {
		return err
	}
	reached, err := a.Service.EndAnySession(c.Request().Context(), who, id)
	if err != nil {
		return err
	}
	if !wait {
		return c.NoContent(http.StatusNoContent)
	}
	return answerJSON(c, http.StatusOK, reachedOf(reached))
}

// reachedAnswer tells how far a revocation has come.
type reachedAnswer struct {
	Nodes         int     `json:"nodes"`   // live gateways
	Applied       int     `json:"applied"` // of these, how many refuse the tokens
	ElapsedMillis float64 `json:"elapsed_ms"`
}

func reachedOf(p auth.Propagation) reachedAnswer {
	return reachedAnswer{p.Nodes, p.Applied, float64(p.Elapsed.Microseconds()) / 1000}
}
