package httpx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
)

// bodyTime is how long a client may take to send a body that is bound.
const bodyTime = 30 * time.Second

// Bind reads the JSON body of a request into the struct that v points to. It
// refuses with the right fault, and names the field: another Content-Type than
// application/json, what is not exactly one JSON document in UTF-8, members
// that are unknown, given twice or of the wrong type, and too large a body.
func Bind(c echo.Context, v any) error { return BindAs(c, echo.MIMEApplicationJSON, v) }

// BindAs is Bind for a JSON document of another media type.
func BindAs(c echo.Context, mediaType string, v any) error {
	r := c.Request()
	if err := checkMediaType(r.Header, mediaType); err != nil {
		return err
	}
	body, err := readBody(c.Response(), r)
	if err != nil {
		return err
	}
	return decodeStrict(body, v)
}

// checkMediaType refuses a body of another kind, or in another coding.
func checkMediaType(header http.Header, want string) error {
	refusal := fault.New(fault.UnsupportedMediaType, "The Content-Type must be "+want+".")
	values := header.Values("Content-Type")
	if len(values) != 1 {
		return refusal
	}
	got, params, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return refusal
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return fault.New(fault.UnsupportedMediaType, "The charset must be utf-8.")
	}
	if coding := header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return fault.New(fault.UnsupportedMediaType, "The body must not be compressed.")
	}
	return nil
}

// readBody reads the whole body, within bodyTime and DefaultMaxBody even if
// the server has no limit of its own.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
		// The deadline would else end the request's context later on.
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	if _, limited := r.Body.(*limitedBody); !limited {
		if err := LimitBody(r, DefaultMaxBody); err != nil {
			return nil, err
		}
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		return body, nil
	}
	if _, classified := errors.AsType[*fault.Error](err); classified {
		return nil, err
	}
	return nil, fault.Wrap(fault.Malformed, "The body could not be read to its end.", err)
}

// decodeStrict reads one JSON document into v.
func decodeStrict(body []byte, v any) error {
	if !utf8.Valid(body) {
		return fault.New(fault.Malformed, "The body is not valid UTF-8.")
	}
	if err := checkDocument(body, reflect.TypeOf(v)); err != nil {
		return err
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return wrongType(wrong.Field, wrong.Type)
	}
	return fault.Wrap(fault.Malformed, "The body does not have the expected form.", err)
}

// wrongType names a field and what it must be.
func wrongType(field string, want reflect.Type) error {
	if field == "" {
		return fault.New(fault.Malformed, "The body must be "+jsonName(want)+".")
	}
	message := "must be " + jsonName(want)
	return &fault.Error{
		Kind:   fault.Malformed,
		Detail: fmt.Sprintf("The field %q %s.", bounded(field, 64), message),
		Fields: []fault.Field{{Field: bounded(field, 64), Message: message}},
	}
}

// jsonName describes a type in the words of JSON.
func jsonName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	default:
		return "an object"
	}
}
