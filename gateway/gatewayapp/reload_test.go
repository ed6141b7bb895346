package gatewayapp

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// reloaded is a gateway whose routes change under load, and the two upstreams
// between which they change.
type reloaded struct {
	*world
	file    string
	targets [2]string
	load    *load
	held    chan struct{} // closed when answers that wait may end
	release func()        // closes it
}

func newReloaded(t *testing.T) *reloaded {
	r := &reloaded{file: filepath.Join(t.TempDir(), "routes.yaml"), held: make(chan struct{})}
	r.load = &load{path: "/steady/", seen: map[string]int{}, dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", r.app.Addr())
	}}
	r.release = sync.OnceFunc(func() { close(r.held) })
	for i := range r.targets {
		server := httptest.NewServer(http.HandlerFunc(r.serve))
		t.Cleanup(server.Close)
		r.targets[i] = server.URL
	}
	t.Cleanup(r.release) // before the servers close
	r.write(t, r.version(0))
	r.world = newWorld(t, func(c *Config) { c.Routes = append(c.Routes, r.file) })
	return r
}

// serve answers with what it got, and where the path says so in two parts,
// between which it waits.
func (r *reloaded) serve(w http.ResponseWriter, req *http.Request) {
	if !strings.HasPrefix(req.URL.Path, "/held/") {
		r.load.serve(w, req)
		return
	}
	_, _ = io.WriteString(w, "begun, ")
	_ = http.NewResponseController(w).Flush()
	<-r.held
	_, _ = io.WriteString(w, "ended")
}

// version is the content of the route file after so many changes: the upstream
// of the steady route is another one each time, and the other routes come and
// go.
func (r *reloaded) version(i int) string {
	routes := fmt.Sprintf("upstreams: { moving: { targets: [%s], timeout: %ds } }\nroutes:\n", r.targets[i%2], 10+i)
	routes += fmt.Sprintf("- { name: steady-%d, match: { path: /steady/* }, upstream: moving, auth: none, timeout: %ds }\n", i, 20+i%3)
	if i == 0 {
		routes += "- { name: held, match: { path: /held/* }, upstream: moving, auth: none }\n"
	}
	return routes
}

// write replaces the route file in one step.
func (r *reloaded) write(t *testing.T, content string) {
	t.Helper()
	next := r.file + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, r.file); err != nil {
		t.Fatal(err)
	}
}

// TestReload_LosesNoRequest changes the route file a hundred times while
// requests flow: each of them is answered, and reaches an upstream once. What
// was under way before the first change ends on the table that it began with.
func TestReload_LosesNoRequest(t *testing.T) {
	r := newReloaded(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/held/a", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	held, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Body.Close() }()

	ctx, cancel := context.WithCancel(context.Background())
	defer r.load.group.Wait()
	defer cancel()
	for i := range 4 {
		r.load.keeping(ctx, time.Duration(i)*time.Millisecond)
	}
	for range 2 {
		r.load.connecting(ctx)
		r.load.http2(ctx)
	}
	for i := 1; i <= 100; i++ {
		before := r.app.routes.Table()
		if i%10 == 0 {
			r.write(t, "routes: [{ name: bad }]")
			if err := r.app.routes.Reload(); err == nil || r.app.routes.Table() != before {
				t.Fatalf("change %d: a bad file was served, %v", i, err)
			}
		}
		r.write(t, r.version(i))
		if err := r.app.routes.Reload(); err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		name := "steady-" + strconv.Itoa(i)
		if found, _ := r.app.backends.serving.Load().table.Match("GET", "", "/steady/a"); found == nil || found.Name != name {
			t.Fatalf("change %d is not served", i)
		}
		since := r.load.answered.Load()
		r.until("requests are answered after change "+strconv.Itoa(i), func() bool { return r.load.answered.Load() >= since+16 })
	}
	cancel()
	r.load.group.Wait()
	if res, _ := r.do("GET", "/held/a"); res.StatusCode != http.StatusNotFound {
		t.Errorf("the route that was taken away answers %d", res.StatusCode)
	}
	r.release()
	if text, err := io.ReadAll(held.Body); err != nil || string(text) != "begun, ended" {
		t.Errorf("the answer that was under way is %q, %v", text, err)
	}
	r.load.report(t)
}
