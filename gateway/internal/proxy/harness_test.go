package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy/coding"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
)

// seen is what the upstream saw of a request, before anything parsed it away.
type seen struct {
	*http.Request
	target string // as in the request line
	body   string
}

// recorder is an upstream that writes down what it gets.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	all  []seen
	next http.HandlerFunc // answers; nil gives 200 "ok"
}

func newRecorder(t *testing.T, answer http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{next: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.all = append(r.all, seen{Request: req, target: req.RequestURI, body: string(body)})
	r.mu.Unlock()
	if r.next != nil {
		r.next(w, req)
		return
	}
	_, _ = io.WriteString(w, "ok")
}

func (r *recorder) requests() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.all...)
}

func (r *recorder) last(t *testing.T) seen {
	t.Helper()
	all := r.requests()
	if len(all) == 0 {
		t.Fatal("the upstream saw no request")
	}
	return all[len(all)-1]
}

// rawUpstream answers every connection's requests with the given bytes and
// then does what end says. It returns its URL and a count of requests.
func rawUpstream(t *testing.T, answer string, end func(net.Conn)) (string, func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := 0
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				defer func() { _ = c.Close() }()
				in := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					mu.Lock()
					count++
					mu.Unlock()
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
					if end != nil {
						end(c)
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); group.Wait() })
	return "http://" + l.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// front is a gateway that sends everything to one upstream.
type front struct {
	*httptest.Server
	proxy   *Proxy
	set     *upstream.Set
	live    *live.Registry
	verdict *verdicts

	mu   sync.Mutex
	edit func(*Call) // of the next calls
}

// verdicts is a fake of what is known of revocations.
type verdicts struct {
	mu  sync.Mutex
	err error
}

func (v *verdicts) Check(context.Context, *contract.Claims, time.Duration) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

func (v *verdicts) say(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func newFront(t testing.TB, targets ...string) *front { return tunedFront(t, Options{}, targets...) }

func tunedFront(t testing.TB, o Options, targets ...string) *front {
	t.Helper()
	set := o.Set
	if set == nil {
		var err error
		if set, err = upstream.New(upstream.Settings{Targets: targets}); err != nil {
			t.Fatal(err)
		}
	}
	verdict := &verdicts{}
	f := &front{set: set, verdict: verdict, live: live.New(live.Options{Revocations: verdict, Now: time.Now})}
	o.Upstream, o.Set, o.Pseudonym, o.Live, o.Log = "orders", set, Pseudonym("node-1"), f.live, slog.New(slog.DiscardHandler)
	if o.Transport == nil {
		transport := NewTransport(TransportOptions{Timeout: 2 * time.Second})
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	if o.Encoders == nil {
		o.Encoders = coding.NewEncoders()
	}
	f.proxy = New(o)
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	f.Config.Protocols = new(http.Protocols)
	f.Config.Protocols.SetHTTP1(true)
	f.Config.Protocols.SetUnencryptedHTTP2(true)
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func (f *front) calls(edit func(*Call)) *front {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edit = edit
	return f
}

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	path, query, has := strings.Cut(r.RequestURI, "?")
	call := &Call{Path: path, Query: query, HasQuery: has, RequestID: "req-1", Origin: Trust{}.Origin(r), TraceParent: "00-a-b-01"}
	f.mu.Lock()
	edit := f.edit
	f.mu.Unlock()
	if edit != nil {
		edit(call)
	}
	w.Header().Set("X-Content-Type-Options", "gateway")
	w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
	if err := f.proxy.Serve(w, r, call); err != nil {
		httpx.WriteProblem(w, r, err)
	}
}

// raw sends bytes on a connection of its own and returns it for reading.
func (f *front) raw(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// answer reads one answer with its body.
func answer(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// ask sends one raw request and reads its answer.
func (f *front) ask(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	_, in := f.raw(t, request)
	return answer(t, in)
}

func signedIn(c *Call) {
	c.Token = "good.token"
	c.Claims = &contract.Claims{
		Subject: "user-1", SessionID: "session-1", Roles: []string{"user", "editor"}, EmailVerified: true,
		ExpiresAt: time.Now().Add(time.Hour),
	}
}

// eventually waits for a condition, with a deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
