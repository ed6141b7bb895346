package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

// attemptsAnswer tells which bounds are used up, and which sign-ins were
// refused.
type attemptsAnswer struct {
	Bounds   []usageAnswer `json:"bounds"`
	Failures []eventAnswer `json:"failures"`
}

type usageAnswer struct {
	Bound         string `json:"bound"`
	Limit         int    `json:"limit"`
	PeriodSeconds int64  `json:"period_seconds"`
	Used          int    `json:"used"`
}

// suspectOf reads whom a request asks about.
func suspectOf(c echo.Context) (auth.Suspect, error) {
	q := queryOf(c)
	of := auth.Suspect{UserID: q.word("user"), Address: q.word("ip")}
	return of, q.err()
}

func (a *api) attempts(c echo.Context, who auth.Caller) error {
	of, err := suspectOf(c)
	if err != nil {
		return err
	}
	known, err := a.Service.Attempts(c.Request().Context(), who, of)
	if err != nil {
		return err
	}
	answer := attemptsAnswer{Bounds: []usageAnswer{}, Failures: []eventAnswer{}}
	for _, u := range known.Bounds {
		answer.Bounds = append(answer.Bounds, usageAnswer{
			Bound: u.Bound, Limit: u.Limit.Tries, PeriodSeconds: seconds(u.Limit.Per), Used: u.Used,
		})
	}
	for _, e := range known.Failures {
		answer.Failures = append(answer.Failures, eventOf(e))
	}
	return answerJSON(c, http.StatusOK, answer)
}

func (a *api) clearAttempts(c echo.Context, who auth.Caller) error {
	of, err := suspectOf(c)
	if err != nil {
		return err
	}
	if err := bindNothing(c); err != nil {
		return err
	}
	if err := a.Service.ClearAttempts(c.Request().Context(), who, of); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
