package httpx_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

func TestTimeLimit(t *testing.T) {
	const limit = 25 * time.Second
	waits := func(c echo.Context) error {
		<-c.Request().Context().Done()
		return fmt.Errorf("wait: %w", c.Request().Context().Err())
	}
	for _, c := range []struct {
		name, path string
		handler    echo.HandlerFunc
		status     int
		retry      string
		took       time.Duration
	}{
		{"a handler that waits too long is away", "/x", waits, http.StatusServiceUnavailable, "1", limit},
		{"what it knows better stays", "/x", func(c echo.Context) error {
			_ = waits(c)
			return fault.New(fault.Conflict, "It was changed meanwhile.")
		}, http.StatusConflict, "", limit},
		{"an answer that came about in time stays", "/x", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, http.StatusNoContent, "", 0},
		{"a failure within the time is a failure", "/x", func(echo.Context) error { return fmt.Errorf("broken") }, http.StatusInternalServerError, "", 0},
		{"a route may be exempt", "/long/:id", func(c echo.Context) error {
			if _, bounded := c.Request().Context().Deadline(); bounded {
				return fmt.Errorf("the time is limited")
			}
			return c.NoContent(http.StatusNoContent)
		}, http.StatusNoContent, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := httpx.New(httpx.Options{})
				e.Use(httpx.TimeLimit(limit, "/long/:id"))
				e.GET("/x", c.handler)
				e.GET("/long/:id", c.handler)
				target := c.path
				if target == "/long/:id" {
					target = "/long/7"
				}
				began, answer := time.Now(), httptest.NewRecorder()
				e.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, target, http.NoBody))
				if answer.Code != c.status || answer.Header().Get("Retry-After") != c.retry || time.Since(began) != c.took {
					t.Errorf("%d, Retry-After %q after %v: %s", answer.Code, answer.Header().Get("Retry-After"), time.Since(began), answer.Body)
				}
			})
		})
	}
}
