package httpx_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

func TestForm(t *testing.T) {
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, header, body string
		want               url.Values
		kind               fault.Kind
	}{
		{"a form is read", form, "token=a%20b&hint=", url.Values{"token": {"a b"}, "hint": {""}}, ""},
		{"an empty one too", form, "", url.Values{}, ""},
		{"JSON is refused", jsonType, `{}`, nil, fault.UnsupportedMediaType},
		{"a parameter given twice is refused", form, "token=a&token=b", nil, fault.Malformed},
		{"a malformed escape is refused", form, "token=%zz", nil, fault.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(httpx.Options{})
			var got url.Values
			var err error
			s.POST("/x", func(c echo.Context) error {
				got, err = httpx.Form(c)
				return err
			})
			w := s.call("POST", "/x", c.body, c.header)
			if diff := cmp.Diff(c.want, got); diff != "" || fault.KindOf(err) != c.kind {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if (w.Code == http.StatusOK) != (c.kind == "") {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}
