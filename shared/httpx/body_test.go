package httpx_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

type readCloser struct{ io.Reader }

func (readCloser) Close() error { return nil }

func TestLimitBody_counts_every_byte(t *testing.T) {
	for _, c := range []struct {
		name      string
		size      int
		announced int64
		tooLarge  bool
	}{
		{"a body at the limit passes", 10, -1, false},
		{"one byte more does not", 11, -1, true},
		{"nor if the announcement lies", 11, 3, true},
		{"an announcement is believed when it is too large", 1, 11, true},
		{"an empty body passes", 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
			r.Body, r.ContentLength = readCloser{strings.NewReader(strings.Repeat("a", c.size))}, c.announced
			err := httpx.LimitBody(r, 10)
			if err == nil {
				var n int64
				n, err = io.Copy(io.Discard, r.Body)
				if n > 10 {
					t.Errorf("%d bytes came through", n)
				}
				if _, again := r.Body.Read(make([]byte, 1)); c.tooLarge && !errors.Is(again, err) {
					t.Errorf("a second read gives %v, the first gave %v", again, err)
				}
			}
			if got := fault.Is(err, fault.PayloadTooLarge); got != c.tooLarge {
				t.Errorf("got %v", err)
			}
		})
	}
}

// serve starts a real server with an endpoint that reads a JSON body, one that
// reads nothing, and a limit of 64 KiB.
func serve(t *testing.T) (addr string) {
	t.Helper()
	s := newService(httpx.Options{MaxBody: 64 << 10})
	s.POST("/bind", func(c echo.Context) error {
		var doc struct {
			X string `json:"x"`
		}
		if err := httpx.Bind(c, &doc); err != nil {
			return err
		}
		return c.String(http.StatusOK, "ok")
	})
	s.POST("/refuse", func(echo.Context) error { return fault.New(fault.TokenMissing, "") })
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// dial opens a connection on which everything must happen within ten seconds.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answerOn reads one answer.
func answerOn(t *testing.T, conn io.Reader) (answer *http.Response, body string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return answer, string(data)
}

func TestBody_limit_on_the_wire(t *testing.T) {
	addr := serve(t)
	const head = "POST /bind HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	large := strings.Repeat("a", 1<<20)
	for _, c := range []struct {
		name, request string
	}{
		{"S-P16 a client that announces too much is answered before it sends", head + "Content-Length: 999999999\r\n\r\n"},
		{"a client that sends it all the same gets the answer", head + "Content-Length: 1048576\r\n\r\n" + large},
		{"chunks without an end are refused at the limit", head + "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + large},
		{"a client that waits to be asked is told not to send", head + "Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each takes as long as the client is given
			conn := dial(t, addr)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(conn, c.request) // may fail half-way, when the server has closed
			}()
			answer, body := answerOn(t, conn)
			if answer.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, `"payload_too_large"`) {
				t.Errorf("got %d %s", answer.StatusCode, body)
			}
			if !answer.Close {
				t.Error("the connection is said to go on")
			}
			if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
				t.Errorf("the connection stays open: %v", err)
			}
			<-sent
		})
	}
}

func TestBody_a_client_that_writes_all_before_it_reads_gets_the_answer(t *testing.T) {
	conn := dial(t, serve(t))
	const size = 4 << 20
	if _, err := fmt.Fprintf(conn, "POST /bind HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Repeat("a", size)); err != nil {
		t.Fatalf("the server hung up on the writer: %v", err)
	}
	if answer, _ := answerOn(t, conn); answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d", answer.StatusCode)
	}
}

func isTimeout(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

func TestBody_a_refusal_does_not_wait_for_ever_for_a_body_that_nobody_wants(t *testing.T) {
	t.Parallel() // it takes as long as the client is given
	conn := dial(t, serve(t))
	if _, err := fmt.Fprint(conn, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := answerOn(t, conn); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d", answer.StatusCode)
	}
}

func TestBody_a_connection_serves_on_after_good_and_bad_requests(t *testing.T) {
	conn := dial(t, serve(t))
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{"/bind", `{"x":"1"}`, 200}, {"/bind", `{"y":1}`, 400}, {"/refuse", `{"x":"1"}`, 401}, {"/nowhere", `{}`, 404}, {"/bind", `{"x":"1"}`, 200},
	} {
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", c.path, len(c.body), c.body); err != nil {
			t.Fatal(err)
		}
		if answer, body := answerOn(t, conn); answer.StatusCode != c.want {
			t.Errorf("%s %s: got %d %s", c.path, c.body, answer.StatusCode, body)
		}
	}
}
