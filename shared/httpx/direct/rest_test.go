package direct

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ignore answers, and leaves the body.
func ignore(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ignored") }

func TestRest_of_a_small_body_is_dropped(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"unread":     ignore,
		"half read":  func(w http.ResponseWriter, r *http.Request) { _, _ = r.Body.Read(make([]byte, 3)); ignore(w, r) },
		"closed":     func(w http.ResponseWriter, r *http.Request) { _ = r.Body.Close(); ignore(w, r) },
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"flushed":    func(w http.ResponseWriter, r *http.Request) { ignore(w, r); _ = http.NewResponseController(w).Flush() },
		"behind the answer": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			ignore(w, r)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		for _, size := range []int{len(hi), 100_000, maxRest - 1} {
			w := serve(t, h)
			c := dial(t, w.address)
			go func() {
				_, _ = io.WriteString(c, upload(size)+strings.Repeat(hi, 1+size/len(hi))[:size]+"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			}()
			for i := range 2 {
				if res, body := c.answer("POST"); body != "ignored" && res.StatusCode != http.StatusNoContent || res.Close != (i == 1) {
					t.Errorf("%s, %d bytes, answer %d: %q %v", name, size, i, body, res.Header)
				}
			}
			if !c.ended() {
				t.Errorf("%s, %d bytes: something else is answered", name, size)
			}
		}
	}
}

// The whole answer is there for a client that reads only when it has sent what
// it could, though nobody reads most of its body.
func TestRest_of_a_large_body_ends_the_connection_behind_the_answer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"unread": ignore,
		"full duplex": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Connection", "close")
			ignore(w, r)
		},
		"kept alive, says the handler": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "keep-alive")
			ignore(w, r)
		},
	} {
		w := serve(t, h)
		c := dial(t, w.address)
		c.say(upload(maxRest + 100_000))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.WriteString(c, strings.Repeat(hi, maxRest)) // more than it has said, and all buffers hold
		}()
		res, body := c.answer("POST")
		if body != "ignored" || !res.Close {
			t.Errorf("%s: %q %v", name, body, res.Header)
		}
		if _, err := c.in.ReadByte(); err == nil {
			t.Errorf("%s: something else is answered", name)
		}
		<-sent
		if len(w.over) > 0 {
			t.Errorf("%s: what follows is handed over", name)
		}
	}
}

// It is so, too, for one that sends all that it has announced first.
func TestRest_of_a_large_body_may_come_before_the_answer_is_read(t *testing.T) {
	w := serve(t, ignore)
	c := dial(t, w.address)
	_, _ = io.WriteString(c, upload(maxRest+50_000)+strings.Repeat("x", maxRest+50_000)) // fails if it is not taken
	if res, body := c.answer("POST"); body != "ignored" || !res.Close {
		t.Errorf("%q %v", body, res.Header)
	}
	if !c.ended() {
		t.Error("the connection does not end, or is reset")
	}
}

func TestRest_that_does_not_come_ends_the_connection(t *testing.T) {
	const soon = 20 * time.Millisecond
	for name, limit := range map[string]time.Duration{"at once": -time.Hour, "soon": soon, "late": time.Hour, "never": 0} {
		w := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if limit != 0 {
				_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
			}
			ignore(w, r)
		}, func(s *Server) {
			if limit == 0 || limit > soon {
				s.Rest = soon
			}
		})
		c := dial(t, w.address)
		c.say(upload(10) + "half")
		if res, body := c.answer("POST"); body != "ignored" || !res.Close {
			t.Errorf("%s: %q %v", name, body, res.Header)
		}
		if !c.ended() {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

func TestRest_an_answer_of_full_duplex_does_not_wait_for_the_body(t *testing.T) {
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = control.Flush()
		echo(w, r)
	})
	c := dial(t, w.address)
	c.say(upload(4))
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	c.say("body" + hi)
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "/up 4 body" {
		t.Errorf("%q %v", body, err)
	}
	if _, body := c.answer("GET"); body != "/hi 0 " {
		t.Errorf("the next: %q", body)
	}
}

// Somebody who reads on when the handler has returned gets no byte of the next
// request.
func TestRest_reads_behind_the_handler_are_over(t *testing.T) {
	for name, sent := range map[string]string{"a whole body": "hello", "half of one": "he"} {
		reads, results := make(chan io.ReadCloser, 2), make(chan error, 1)
		w := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength == 0 {
				hello(w, r)
				return
			}
			reading := make(chan struct{})
			go func() {
				_, _ = io.ReadFull(r.Body, make([]byte, len(sent)))
				close(reading)
				_, err := io.ReadAll(r.Body) // waits, if there is more to come
				results <- err
			}()
			<-reading
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			reads <- r.Body
		})
		c := dial(t, w.address)
		c.say(upload(5) + sent)
		res, _ := c.answer("POST")
		err := <-results
		if whole := sent == "hello"; res.Close == whole || (err == nil) != whole && !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("%s: %v, a read under way: %v", name, res.Header, err)
		}
		if res.Close {
			if !c.ended() { // and the request has, before it
				t.Errorf("%s: the connection goes on", name)
			}
		} else {
			c.say(hi)
			if _, body := c.answer("GET"); body != "hello /hi" {
				t.Errorf("%s: the next: %q", name, body)
			}
		}
		if n, err := (<-reads).Read(make([]byte, 1)); n > 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

func TestRest_a_panic_ends_a_read_under_way(t *testing.T) {
	results := make(chan error, 1)
	w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		reading := make(chan struct{})
		go func() {
			_, _ = r.Body.Read(make([]byte, 1))
			close(reading)
			_, err := r.Body.Read(make([]byte, 1))
			results <- err
		}()
		<-reading
		panic(http.ErrAbortHandler)
	})
	c := dial(t, w.address)
	c.say(upload(2) + "h")
	if !c.ended() {
		t.Error("the connection goes on")
	}
	if err := <-results; err == nil {
		t.Error("a byte was read")
	}
}

func TestRest_a_client_in_the_middle_of_its_body_is_cut_off_by_Cut(t *testing.T) {
	reading, results := make(chan struct{}), make(chan error, 1)
	w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		close(reading)
		_, err := r.Body.Read(make([]byte, 1))
		results <- err
	})
	c := dial(t, w.address)
	c.say(upload(2) + "h")
	<-reading
	if n := w.Cut(); n != 1 {
		t.Errorf("%d requests were cut off", n)
	}
	if err := <-results; err == nil {
		t.Error("a byte was read")
	}
}

func TestRest_of_a_body_is_the_new_owner_s_when_the_connection_is_taken_over(t *testing.T) {
	taken := make(chan string, 1)
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 3))
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := r.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read: %v", err)
		}
		all, err := io.ReadAll(buffered)
		if err != nil {
			t.Error(err)
		}
		taken <- string(all)
	})
	c := dial(t, w.address)
	c.say(upload(10) + "abcdefg")
	c.say("hij" + hi)
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if got := <-taken; got != "defghij"+hi {
		t.Errorf("got %q", got)
	}
}
