package httpx

import (
	"fmt"
	"net/url"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
)

// Form reads a form-encoded body, as the OAuth endpoints get it. It refuses
// another Content-Type, a malformed body, and a parameter that is given twice
// (RFC 6749 section 3.2). Unknown parameters are the caller's to ignore.
func Form(c echo.Context) (url.Values, error) {
	r := c.Request()
	if err := checkMediaType(r.Header, echo.MIMEApplicationForm); err != nil {
		return nil, err
	}
	body, err := readBody(c.Response(), r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "The body is not a well-formed form.", err)
	}
	for name, given := range values {
		if len(given) > 1 {
			return nil, fault.New(fault.Malformed, fmt.Sprintf("The parameter %q is given twice.", bounded(name, 64)))
		}
	}
	return values, nil
}
