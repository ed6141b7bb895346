package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

func (a *api) sessions(c echo.Context, who auth.Caller) error {
	q := queryOf(c)
	wanted, ended := q.page(), q.flag("ended")
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.Sessions(c.Request().Context(), who, ended, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, sessionOf)
}

func (a *api) endSession(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := bindNothing(c); err != nil {
		return err
	}
	if err := a.Service.EndSession(c.Request().Context(), who, id); err != nil {
		return err
	}
	if id == who.Claims.SessionID && hasCookies(c.Request()) {
		clearCookies(c)
	}
	return c.NoContent(http.StatusNoContent)
}

// endOtherSessions ends all sessions but the caller's own.
func (a *api) endOtherSessions(c echo.Context, who auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	ended, err := a.Service.EndOtherSessions(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, map[string]int{"ended": ended})
}
