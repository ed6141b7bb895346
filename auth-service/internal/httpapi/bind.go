package httpapi

import (
	"bufio"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// bind reads a JSON body strictly.
func bind(c echo.Context, v any) error { return httpx.Bind(c, v) }

// bindOptional is bind for endpoints whose body may be missing.
func bindOptional(c echo.Context, v any) error {
	r := c.Request()
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength < 0 { // of unknown length, and so perhaps empty
		buffered := bufio.NewReader(r.Body)
		if _, err := buffered.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		r.Body = peekedBody{buffered, r.Body}
	}
	return bind(c, v)
}

// peekedBody is a body of which the first byte was looked at.
type peekedBody struct {
	io.Reader
	io.Closer
}

// bindNothing refuses a body that says anything: there may be none, or {}.
func bindNothing(c echo.Context) error {
	var nothing struct{}
	return bindOptional(c, &nothing)
}

// required reports the fields of a body that are missing or empty, from pairs
// of name and value.
func required(pairs ...string) error {
	var missing []fault.Field
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			missing = append(missing, fault.Field{Field: pairs[i], Message: "is required"})
		}
	}
	if len(missing) > 0 {
		return fault.Invalid(missing...)
	}
	return nil
}

// pathID reads the id in the path. What is no UUID in its canonical form is
// the id of nothing.
func pathID(c echo.Context) (string, error) { return idParam(c, "id") }

// idParam is pathID for a parameter of any name.
func idParam(c echo.Context, name string) (string, error) {
	text := c.Param(name)
	if id, err := uuid.Parse(text); err != nil || id.String() != text {
		return "", fault.New(fault.NotFound, "There is nothing with this id.")
	}
	return text, nil
}

// query reads parameters of the query and keeps every problem with them. Those
// that are known may be given once; others are not looked at.
type query struct {
	values    url.Values
	malformed error
	problems  []fault.Field
}

// queryOf reads the query strictly. What cannot be read must not be left out:
// a filter that is missing selects everything.
func queryOf(c echo.Context) query {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	return query{values: values, malformed: err}
}

// value gives a parameter, "" if it is missing.
func (q *query) value(name string) string {
	if len(q.values[name]) > 1 {
		q.refuse(name, "must be given once")
	}
	return q.values.Get(name)
}

func (q *query) refuse(name, message string) {
	q.problems = append(q.problems, fault.Field{Field: name, Message: message})
}

// err is nil, or a fault that names every parameter which was refused.
func (q *query) err() error {
	if q.malformed != nil {
		return fault.Wrap(fault.Malformed, "The query is malformed.", q.malformed)
	}
	if len(q.problems) > 0 {
		return fault.Invalid(q.problems...)
	}
	return nil
}

// page reads cursor and limit. What a cursor means is for the rules to say.
func (q *query) page() auth.PageRequest {
	p := auth.PageRequest{Cursor: q.value("cursor")}
	if len(p.Cursor) > 512 || !printable(p.Cursor) {
		q.refuse("cursor", "is not one that was given out")
	}
	if text := q.value("limit"); q.values.Has("limit") {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > 200 {
			q.refuse("limit", "must be a number from 1 to 200")
		}
		p.Limit = limit
	}
	return p
}

// word reads a parameter of at most 128 printable ASCII characters.
func (q *query) word(name string) string {
	text := q.value(name)
	if len(text) > 128 || !printable(text) {
		q.refuse(name, "must be at most 128 printable characters")
	}
	return text
}

func (q *query) time(name string) time.Time {
	text := q.value(name)
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		q.refuse(name, "must be a time such as 2026-01-02T15:04:05Z")
	}
	return at.UTC()
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// flag reads a parameter that is 1 or true, 0 or false, or missing.
func (q *query) flag(name string) bool {
	text := q.value(name)
	if text == "" {
		return false
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		q.refuse(name, "must be 1 or 0")
	}
	return value
}
