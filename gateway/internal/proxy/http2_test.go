package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// speaking starts an upstream that speaks HTTP/2 and nothing else.
func speaking(t *testing.T, protocol Protocol, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	up := httptest.NewUnstartedServer(answer)
	up.Config.Protocols = new(http.Protocols)
	if protocol == HTTP2 {
		up.EnableHTTP2 = true
		up.Config.Protocols.SetHTTP2(true)
		up.StartTLS()
	} else {
		up.Config.Protocols.SetUnencryptedHTTP2(true)
		up.Start()
	}
	t.Cleanup(up.Close)
	return up
}

// frontTo is a gateway in front of an upstream that speaks HTTP/2.
func frontTo(t *testing.T, protocol Protocol, up *httptest.Server) *front {
	t.Helper()
	o := TransportOptions{Protocol: protocol, Timeout: 2 * time.Second}
	if protocol == HTTP2 {
		o.TLS = &TLSFiles{CA: certificateOf(t, up)}
	}
	transport := NewTransport(o)
	t.Cleanup(func() { _ = transport.Close() })
	return tunedFront(t, Options{Transport: transport, HTTP2: true}, up.URL)
}

// grpcClient is a client that speaks HTTP/2 to the gateway, as gRPC does.
func grpcClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// grpcCall begins a call that streams both ways.
func grpcCall(t *testing.T, f *front, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/orders.Orders/Watch", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Te": {"trailers"}, "Grpc-Timeout": {"20S"}}
	res, err := grpcClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestServe_HTTP2(t *testing.T) {
	for _, protocol := range []Protocol{HTTP2, H2C} {
		t.Run(string(protocol), func(t *testing.T) {
			up := speaking(t, protocol, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s %s %s", r.Proto, r.Method, r.RequestURI, body)
			})
			f := frontTo(t, protocol, up)
			res, body := f.ask(t, "POST /a%20b?q HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\n\r\nabc")
			if want := "HTTP/2.0 POST /a%20b?q abc"; res.StatusCode != http.StatusOK || body != want {
				t.Errorf("%d %q, want %q", res.StatusCode, body, want)
			}
		})
	}
	t.Run("a target that speaks HTTP/1.1 alone cannot be reached", func(t *testing.T) {
		up := newTLSRecorder(t)
		res, body := frontTo(t, HTTP2, up).ask(t, get)
		if res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	})
	t.Run("a probe asks in the same way", func(t *testing.T) {
		up := speaking(t, H2C, func(http.ResponseWriter, *http.Request) {})
		target, _ := url.Parse(up.URL)
		p := NewProbe("/livez", nil, TransportOptions{Protocol: H2C})
		defer p.Close()
		if err := p.Ask(t.Context(), target); err != nil {
			t.Error(err)
		}
	})
}

func TestServe_GRPC(t *testing.T) {
	for _, protocol := range []Protocol{HTTP2, H2C} {
		t.Run(string(protocol)+": messages go both ways, one by one, and trailers come last", func(t *testing.T) {
			up := speaking(t, protocol, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/grpc+proto")
				w.Header()["Te-Seen"] = r.Header["Te"]
				w.Header()["Timeout-Seen"] = r.Header["Grpc-Timeout"]
				_ = http.NewResponseController(w).Flush()
				in := bufio.NewScanner(r.Body)
				for in.Scan() {
					fmt.Fprintf(w, "got %s\n", in.Text())
					_ = http.NewResponseController(w).Flush()
				}
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
				w.Header().Set(http.TrailerPrefix+"Grpc-Message", "fine")
			})
			from, to := io.Pipe()
			res := grpcCall(t, frontTo(t, protocol, up), from)
			if res.StatusCode != http.StatusOK || res.Header.Get("Te-Seen") != "trailers" || res.Header.Get("Timeout-Seen") != "20S" {
				t.Fatalf("%d %v", res.StatusCode, res.Header)
			}
			in := bufio.NewReader(res.Body)
			for i := range 3 {
				fmt.Fprintf(to, "message %d\n", i)
				if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("got message %d\n", i) {
					t.Fatalf("%q %v", line, err)
				}
			}
			_ = to.Close()
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("%q %v", rest, err)
			}
			if res.Trailer.Get("Grpc-Status") != "0" || res.Trailer.Get("Grpc-Message") != "fine" {
				t.Errorf("trailers %v", res.Trailer)
			}
		})
	}
	t.Run("an answer of trailers alone", func(t *testing.T) {
		up := speaking(t, H2C, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "5")
		})
		if res := grpcCall(t, frontTo(t, H2C, up), http.NoBody); res.StatusCode != 200 || res.Header.Get("Grpc-Status") != "5" {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("an upstream that has had enough ends a call while its client is silent", func(t *testing.T) {
		up := speaking(t, H2C, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "8")
		})
		from, _ := io.Pipe()
		res := grpcCall(t, frontTo(t, H2C, up), from)
		if _, err := io.ReadAll(res.Body); err != nil || res.Trailer.Get("Grpc-Status") != "8" {
			t.Errorf("%v %v", res.Trailer, err)
		}
	})
	t.Run("a client that goes away ends the call", func(t *testing.T) {
		gone := make(chan struct{})
		up := speaking(t, H2C, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(gone)
		})
		from, _ := io.Pipe()
		res := grpcCall(t, frontTo(t, H2C, up), from)
		_ = res.Body.Close()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Error("the upstream was not told")
		}
	})
	t.Run("a stream may be silent, and ends with its caller's session", func(t *testing.T) {
		up := speaking(t, H2C, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		f := frontTo(t, H2C, up).calls(signedIn)
		running(t, f.live)
		f.proxy.pause = 10 * time.Millisecond // nobody waits longer for an answer that stands still
		from, _ := io.Pipe()
		res := grpcCall(t, f, from)
		eventually(t, "the stream is registered", func() bool { return f.live.Count(live.Other) == 1 })
		f.verdict.say(fault.New(fault.TokenRevoked, ""))
		f.live.Applied([]contract.Entry{{Kind: contract.RevokeSession}})
		if _, err := io.ReadAll(res.Body); err == nil {
			t.Error("it looks whole")
		}
	})
}
