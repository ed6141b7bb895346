package httpx

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
)

var errOutOfTime = errors.New("the request has used up its time")

// TimeLimit gives each request so much time to be answered, but for those to
// the named routes. What a handler waits for ends with the context of its
// request; a failure that follows from it is the service's, of kind
// fault.Unavailable. So whoever is in front of the service gets an answer that
// says when to try again, and need not give up by itself.
func TimeLimit(limit time.Duration, except ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if slices.Contains(except, c.Path()) {
				return next(c)
			}
			r := c.Request()
			ctx, cancel := context.WithTimeoutCause(r.Context(), limit, errOutOfTime)
			defer cancel()
			c.SetRequest(r.WithContext(ctx))
			return outOfTime(ctx, next(c))
		}
	}
}

// outOfTime classifies what nobody else has when the time was over.
func outOfTime(ctx context.Context, err error) error {
	if err == nil || !errors.Is(context.Cause(ctx), errOutOfTime) {
		return err
	}
	if _, classified := errors.AsType[*fault.Error](err); classified {
		return err
	}
	return fault.Wrap(fault.Unavailable, "The request could not be answered in time.", err)
}
