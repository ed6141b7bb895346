package httpx_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

type embedded struct {
	Locale string `json:"locale"`
	Email  string `json:"email"` // hidden by the outer one
}

type body struct {
	Email    string            `json:"email"`
	Age      int8              `json:"age,omitempty"`
	Score    float64           `json:"score"`
	OK       bool              `json:"ok"`
	Roles    []string          `json:"roles"`
	Name     *string           `json:"name"`
	At       time.Time         `json:"at"`
	Any      any               `json:"any"`
	Raw      json.RawMessage   `json:"raw"`
	Labels   map[string]string `json:"labels"`
	Nested   struct{ N []int } `json:"nested"`
	Bytes    []byte            `json:"bytes"`
	Secret   string            `json:"-"`
	Untagged string
	hidden   string //nolint:unused // shows that such fields are not known to callers
	embedded
}

const jsonType = "Content-Type: application/json"

func TestBind_accepts(t *testing.T) {
	name := "n"
	for _, c := range []struct {
		doc  string
		want body
	}{
		{`{}`, body{}},
		{` {"email":"a","age":-128,"ok":true,"score":1.5e3} ` + "\n", body{Email: "a", Age: -128, OK: true, Score: 1500}},
		{`{"roles":["a","b"],"nested":{"N":[1]},"labels":{"x":"y"}}`, body{Roles: []string{"a", "b"}, Nested: struct{ N []int }{[]int{1}}, Labels: map[string]string{"x": "y"}}},
		{`{"name":null,"any":null}`, body{}},
		{`{"name":"n","any":{"deep":[1]},"raw":{"x":null}}`, body{Name: &name, Any: map[string]any{"deep": []any{1.0}}, Raw: json.RawMessage(`{"x":null}`)}},
		{`{"at":"2026-01-02T03:04:05Z","bytes":"aGk="}`, body{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Bytes: []byte("hi")}},
		{`{"locale":"de","Untagged":"é"}`, body{embedded: embedded{Locale: "de"}, Untagged: "é"}},
	} {
		var got body
		if err := bind(c.doc, &got, jsonType); err != nil {
			t.Errorf("%s: %v", c.doc, err)
		} else if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(body{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.doc, diff)
		}
	}
}

// bind gives the error of binding a document, as a handler sees it.
func bind(doc string, v any, header ...string) error {
	s := newService(httpx.Options{MaxBody: 200})
	var err error
	s.POST("/x", func(c echo.Context) error {
		err = httpx.Bind(c, v)
		return err
	})
	if w := s.call("POST", "/x", doc, header...); err == nil && w.Code != http.StatusOK {
		return fault.New(fault.PayloadTooLarge, w.Body.String())
	}
	return err
}

func TestBind_refuses(t *testing.T) {
	deep := `{"any":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`
	for _, c := range []struct {
		name, doc string
		kind      fault.Kind
		field     string // must be named
	}{
		{"nothing", "", fault.Malformed, ""},
		{"white space", " \n", fault.Malformed, ""},
		{"no JSON", "email=a", fault.Malformed, ""},
		{"half a document", `{"email":"a"`, fault.Malformed, ""},
		{"half a list", `{"roles":["a"`, fault.Malformed, ""},
		{"half a member", `{"email"`, fault.Malformed, ""},
		{"a second document", `{"email":"a"}{}`, fault.Malformed, ""},
		{"trailing garbage", `{"email":"a"}x`, fault.Malformed, ""},
		{"null for everything", `null`, fault.Malformed, ""},
		{"a list for an object", `[]`, fault.Malformed, ""},
		{"a text for an object", `"x"`, fault.Malformed, ""},
		{"an unknown field", `{"email":"a","admin":true}`, fault.Malformed, "admin"},
		{"an unknown field inside", `{"nested":{"M":1}}`, fault.Malformed, "nested.M"},
		{"S-T12 a field in another case", `{"Email":"a"}`, fault.Malformed, "Email"},
		{"a field by its Go name", `{"OK":true}`, fault.Malformed, "OK"},
		{"a field that is not for callers", `{"Secret":"a"}`, fault.Malformed, "Secret"},
		{"an unexported field", `{"hidden":"a"}`, fault.Malformed, "hidden"},
		{"S-T12 a field given twice", `{"email":"a","email":"b"}`, fault.Malformed, "email"},
		{"a field given twice in another spelling", `{"email":"a","\u0065mail":"b"}`, fault.Malformed, "email"},
		{"a field given twice where anything goes", `{"any":{"x":1,"x":2}}`, fault.Malformed, "any.x"},
		{"a number for a text", `{"email":1}`, fault.Malformed, "email"},
		{"an object for a text", `{"email":{}}`, fault.Malformed, "email"},
		{"null for a text", `{"email":null}`, fault.Malformed, "email"},
		{"a text for a number", `{"age":"1"}`, fault.Malformed, "age"},
		{"a number out of range", `{"age":128}`, fault.Malformed, "age"},
		{"a fraction for a whole number", `{"age":1.5}`, fault.Malformed, "age"},
		{"a number for a truth value", `{"ok":1}`, fault.Malformed, "ok"},
		{"a truth value for a number", `{"score":true}`, fault.Malformed, "score"},
		{"a text for a list", `{"roles":"admin"}`, fault.Malformed, "roles"},
		{"null for a list", `{"roles":null}`, fault.Malformed, "roles"},
		{"a number in a list of texts", `{"roles":["a",1]}`, fault.Malformed, "roles[1]"},
		{"a list for an object inside", `{"nested":[]}`, fault.Malformed, "nested"},
		{"a number for a pointer to text", `{"name":1}`, fault.Malformed, "name"},
		{"a time that is none", `{"at":"today"}`, fault.Malformed, ""},
		{"bytes that are none", `{"bytes":"###"}`, fault.Malformed, ""},
		{"invalid UTF-8", "{\"email\":\"\xff\"}", fault.Malformed, ""},
		{"a byte order mark", "\ufeff{}", fault.Malformed, ""},
		{"what nests too deeply", deep, fault.Malformed, ""},
		{"what is too large", `{"email":"` + strings.Repeat("a", 200) + `"}`, fault.PayloadTooLarge, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := new(body)
			err := bind(c.doc, got, jsonType)
			if kind := fault.KindOf(err); kind != c.kind {
				t.Fatalf("got %q: %v", kind, err)
			}
			f, _ := errors.AsType[*fault.Error](err)
			if c.field != "" && (len(f.Fields) != 1 || f.Fields[0].Field != c.field || !strings.Contains(f.Detail, c.field)) {
				t.Errorf("the field is not named: %v", err)
			}
		})
	}
}

func TestBind_media_types(t *testing.T) {
	for _, c := range []struct {
		name   string
		header []string
		want   fault.Kind
	}{
		{"JSON is accepted", []string{jsonType}, ""},
		{"upper case is the same", []string{"Content-Type: Application/JSON; Charset=UTF-8"}, ""},
		{"none is refused", nil, fault.UnsupportedMediaType},
		{"text is refused", []string{"Content-Type: text/plain"}, fault.UnsupportedMediaType},
		{"a form is refused", []string{"Content-Type: application/x-www-form-urlencoded"}, fault.UnsupportedMediaType},
		{"what only begins like it is refused", []string{"Content-Type: application/json-patch+json"}, fault.UnsupportedMediaType},
		{"two are refused", []string{jsonType, "Content-Type: text/plain"}, fault.UnsupportedMediaType},
		{"a malformed one is refused", []string{"Content-Type: application/json; ="}, fault.UnsupportedMediaType},
		{"another charset is refused", []string{"Content-Type: application/json; charset=latin1"}, fault.UnsupportedMediaType},
		{"a compressed body is refused", []string{jsonType, "Content-Encoding: gzip"}, fault.UnsupportedMediaType},
		{"no coding is no coding", []string{jsonType, "Content-Encoding: identity"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fault.KindOf(bind(`{}`, new(body), c.header...)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBindAs_another_media_type(t *testing.T) {
	s := newService(httpx.Options{})
	s.PATCH("/x", func(c echo.Context) error { return httpx.BindAs(c, "application/merge-patch+json", new(body)) })
	if w := s.call("PATCH", "/x", `{}`, "Content-Type: application/merge-patch+json"); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := s.call("PATCH", "/x", `{}`, jsonType); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestBind_has_a_limit_of_its_own(t *testing.T) {
	for name, length := range map[string]int64{"announced": 2 << 20, "not announced": -1} {
		t.Run(name, func(t *testing.T) {
			s := newService(httpx.Options{MaxBody: -1})
			s.POST("/x", func(c echo.Context) error {
				c.Request().ContentLength = length
				return httpx.Bind(c, new(body))
			})
			if w := s.call("POST", "/x", `"`+strings.Repeat("a", 2<<20)+`"`, jsonType); w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("got %d", w.Code)
			}
		})
	}
}

func TestBind_a_body_that_breaks_off_is_malformed(t *testing.T) {
	s := newService(httpx.Options{})
	s.POST("/x", func(c echo.Context) error {
		c.Request().Body = readCloser{iotest.ErrReader(errors.New("connection reset"))}
		return httpx.Bind(c, new(body))
	})
	w := s.call("POST", "/x", `{}`, jsonType)
	hasFields(t, document(t, w), map[string]any{"code": "malformed_request"})
	if strings.Contains(w.Body.String(), "reset") {
		t.Errorf("the caller sees %s", w.Body)
	}
}

// FuzzBind holds Bind to this: what it accepts encoding/json reads in the same
// way, member by member, with no choice between two readings.
func FuzzBind(f *testing.F) {
	for _, seed := range []string{
		`{"email":"a","roles":["x"],"any":{"a":[1,2,{"b":null}]}}`, `{"a":1,"A":2}`, `{"email":"a","email":"b"}`, `{"email":"\ud800"}`, `{"nested":{"N":[1]}}`, `[{}]`, `{} {}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var got, want body
		if bind(doc, &got, jsonType) != nil {
			return
		}
		decoder := json.NewDecoder(strings.NewReader(doc))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("accepted %q, which is not valid: %v", doc, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q was read as %+v and %+v", doc, got, want)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(doc), &members); err != nil {
			t.Fatalf("accepted %q, which is no object: %v", doc, err)
		}
		if members["email"] == nil && got.Email != "" {
			t.Fatalf("%q filled a field under another name", doc)
		}
	})
}
