package example

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHandler(t *testing.T) {
	server := httptest.NewServer(Handler())
	defer server.Close()

	t.Run("a request comes back byte for byte", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/a%20b/%C3%BC;v=1?x=1&y=%20&z=1;2", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "shop.example.com"
		req.Header = http.Header{"X-Twice": {"one", "two"}, "User-Agent": {"test"}}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "application/json" {
			t.Fatalf("%s, %s", res.Status, got)
		}
		var got Echo
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		want := Echo{
			Method: "POST", Path: "/a%20b/%C3%BC;v=1", RawQuery: "x=1&y=%20&z=1;2", Body: "hello",
			Headers: map[string][]string{"Accept-Encoding": {"gzip"}, "Content-Length": {"5"}, "Host": {"shop.example.com"},
				"User-Agent": {"test"}, "X-Twice": {"one", "two"}},
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
	t.Run("a body over the limit is refused", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.LimitReader(zeros{}, MaxBody+1))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s", res.Status)
		}
	})
}

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
