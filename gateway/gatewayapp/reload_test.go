package gatewayapp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// reloaded is a gateway whose routes change under load, and the two upstreams
// between which they change.
type reloaded struct {
	*world
	file    string
	targets [2]string
	held    chan struct{} // closed when answers that wait may end

	mu   sync.Mutex
	seen map[string]int // requests at the upstreams, by id
}

func newReloaded(t *testing.T) *reloaded {
	r := &reloaded{file: filepath.Join(t.TempDir(), "routes.yaml"), held: make(chan struct{}), seen: map[string]int{}}
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

// release lets answers end that wait.
func (r *reloaded) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.held:
	default:
		close(r.held)
	}
}

// serve answers with what it got, and where the path says so in two parts,
// between which it waits.
func (r *reloaded) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.seen[req.URL.Query().Get("id")]++
	r.mu.Unlock()
	if strings.HasPrefix(req.URL.Path, "/held/") {
		_, _ = io.WriteString(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
		<-r.held
	}
	_, _ = fmt.Fprintf(w, "%s %s %s", req.Method, req.URL.Path, body)
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

// call makes a request by itself and holds the answer to it.
func (r *reloaded) call(client *http.Client, id int) error {
	method, body := http.MethodGet, ""
	if id%2 == 1 {
		method, body = http.MethodPost, strings.Repeat("x", 1000)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+"/steady/a?id="+strconv.Itoa(id), bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.GetBody = nil // so that a lost POST is lost, and not sent again
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if want := method + " /steady/a " + body; err != nil || res.StatusCode != http.StatusOK || string(text) != want {
		return fmt.Errorf("%s %d: status %d, %.100q, %w", method, id, res.StatusCode, text, err)
	}
	return nil
}

// load makes requests one after the other on several connections, until stop
// is closed, and counts those that were answered as they should be.
func (r *reloaded) load(stop <-chan struct{}, answered *atomic.Int64) (wait func()) {
	const connections = 4
	var next atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := r.call(client, int(next.Add(1))); err != nil {
					r.t.Errorf("a request was lost: %v", err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return all.Wait
}

// TestReload_LosesNoRequest changes the route file a hundred times while
// requests flow: each of them is answered, and reaches an upstream once. What
// was under way before the first change ends on the table that it began with.
func TestReload_LosesNoRequest(t *testing.T) {
	r := newReloaded(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/held/a?id=held", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	held, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Body.Close() }()

	stop := make(chan struct{})
	var answered atomic.Int64
	wait := r.load(stop, &answered)
	end := sync.OnceFunc(func() { close(stop); wait() })
	defer end()
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
		since := answered.Load()
		r.until("requests are answered after change "+strconv.Itoa(i), func() bool { return answered.Load() >= since+8 || t.Failed() })
		if t.Failed() {
			return
		}
	}
	end()
	if res, _ := r.do("GET", "/held/a"); res.StatusCode != http.StatusNotFound {
		t.Errorf("the route that was taken away answers %d", res.StatusCode)
	}
	r.release()
	if text, err := io.ReadAll(held.Body); err != nil || string(text) != "begun, GET /held/a " {
		t.Errorf("the answer that was under way is %q, %v", text, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, times := range r.seen {
		if times != 1 {
			t.Errorf("request %s reached the upstreams %d times", id, times)
		}
	}
	if sum := answered.Load() + 1; int64(len(r.seen)) != sum || sum < 800 {
		t.Errorf("the upstreams saw %d requests, and %d were answered", len(r.seen), sum)
	}
	t.Logf("%d requests during 100 changes, none lost", answered.Load())
}
