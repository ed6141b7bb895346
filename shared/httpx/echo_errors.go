package httpx

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
)

// fromEcho classifies the errors that Echo's router and helpers make. Their
// texts are not shown: they are written for programmers.
func fromEcho(err error) error {
	if _, classified := errors.AsType[*fault.Error](err); classified {
		return err
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLargeBody(tooLarge.Limit)
	}
	he, ok := errors.AsType[*echo.HTTPError](err)
	if !ok {
		return err
	}
	switch he.Code {
	case http.StatusBadRequest:
		return fault.Wrap(fault.Malformed, "The request is malformed.", err)
	case http.StatusUnauthorized:
		return fault.Wrap(fault.TokenMissing, "The request needs an access token.", err)
	case http.StatusForbidden:
		return fault.Wrap(fault.InsufficientRole, "The caller may not do this.", err)
	case http.StatusNotFound:
		return fault.Wrap(fault.RouteNotFound, "There is nothing at this path.", err)
	case http.StatusMethodNotAllowed:
		return fault.Wrap(fault.MethodNotAllowed, "The path does not answer to this method.", err)
	case http.StatusRequestEntityTooLarge:
		return fault.Wrap(fault.PayloadTooLarge, "The body is too large.", err)
	case http.StatusUnsupportedMediaType:
		return fault.Wrap(fault.UnsupportedMediaType, "The media type is not supported.", err)
	case http.StatusTooManyRequests:
		return fault.Wrap(fault.RateLimited, "There were too many requests.", err)
	case http.StatusServiceUnavailable:
		return fault.Wrap(fault.Unavailable, "The service is not available.", err)
	default:
		return fmt.Errorf("echo status %d: %w", he.Code, err)
	}
}

// handleError is the error handler of every Echo. An answer that has begun
// cannot be changed; it is cut off, so that it does not look whole.
func handleError(err error, c echo.Context) {
	r := c.Request()
	noteError(r.Context(), err)
	if begun(c) {
		if !errors.Is(err, context.Canceled) {
			noteAbort(r.Context())
		}
		return
	}
	WriteProblem(c.Response(), r, err)
}

// begun reports whether the header of the answer has been sent, through Echo
// or past it.
func begun(c echo.Context) bool {
	if c.Response().Committed {
		return true
	}
	rec := recordFrom(c.Request().Context())
	return rec != nil && rec.writer.begun()
}
