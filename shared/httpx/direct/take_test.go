package direct

import (
	"io"
	"net/http"
	"testing"
)

func TestAnswer_takes_another_header_until_it_is_said(t *testing.T) {
	w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		taking := w.(interface{ TakeHeader(h http.Header) bool })
		w.Header().Set("X-Before", "x")
		if !taking.TakeHeader(http.Header{"X-Taken": {"y"}}) {
			t.Error("it is not taken")
		}
		w.Header().Set("X-After", "z")
		_, _ = io.WriteString(w, "hello")
		if taking.TakeHeader(http.Header{"X-Late": {"x"}}) {
			t.Error("it is taken too late")
		}
	})
	c := dial(t, w.address)
	c.say(hi)
	res, body := c.answer("GET")
	if h := res.Header; h.Get("X-Before") != "" || h.Get("X-Taken") != "y" || h.Get("X-After") != "z" || h.Get("X-Late") != "" || body != "hello" {
		t.Errorf("got %v %q", h, body)
	}
}
