package direct

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// upload is the head of a request with a body of so many bytes.
func upload(length int, fields ...string) string {
	return fmt.Sprintf("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", length, strings.Join(fields, ""))
}

// echo answers with the body.
func echo(w http.ResponseWriter, r *http.Request) {
	all, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%s %d %s", r.URL.Path, r.ContentLength, all)
}

func TestBody_ends_where_the_next_request_begins(t *testing.T) {
	w := serve(t, echo)
	for _, size := range []int{1, 5, maxHead - len(upload(9999)), maxHead - 1, maxHead, maxHead + 1, 100_000} {
		content := strings.Repeat(hi, 1+size/len(hi))[:size]
		c := dial(t, w.address)
		go func() { _, _ = io.WriteString(c, upload(size)+content+hi+upload(size)+content+upload(3)+"abc"+hi) }()
		long := fmt.Sprintf("/up %d %s", size, content)
		for i, want := range []string{long, "/hi 0 ", long, "/up 3 abc", "/hi 0 "} {
			if _, got := c.answer("POST"); got != want {
				t.Fatalf("%d bytes, answer %d: %.80q (%d bytes)", size, i, got, len(got))
			}
		}
		if len(w.over) > 0 {
			t.Fatalf("%d bytes: handed over", size)
		}
	}
}

func TestBody_may_come_in_pieces(t *testing.T) {
	w := serve(t, echo)
	c := dial(t, w.address)
	for _, piece := range slices.Concat([]string{upload(11) + "h"}, strings.Split("ello agai", ""), []string{"n" + upload(2)[:9], upload(2)[9:], "a", "b"}) {
		c.say(piece)
		time.Sleep(100 * time.Microsecond) // so that they come as pieces, mostly; any way they come is good
	}
	for _, want := range []string{"/up 11 hello again", "/up 2 ab"} {
		if _, got := c.answer("POST"); got != want {
			t.Errorf("got %q", got)
		}
	}
}

// What has come goes to the reader at once, and never more than it has room for.
func TestBody_is_read_as_it_comes(t *testing.T) {
	step := make(chan string, 16)
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 4)
		for {
			n, err := r.Body.Read(p)
			step <- fmt.Sprintf("%s %v", p[:n], err)
			if err != nil {
				break
			}
		}
		n, err := r.Body.Read(p)
		_, _ = fmt.Fprintf(w, "%d %v", n, err)
	})
	c := dial(t, w.address)
	c.say(upload(9) + "12345")
	for _, s := range []struct{ read, more string }{{"1234 <nil>", ""}, {"5 <nil>", "67"}, {"67 <nil>", "89" + hi}, {"89 EOF", ""}} {
		if got := <-step; got != s.read {
			t.Errorf("read %q, want %q", got, s.read)
		}
		c.say(s.more)
	}
	if _, got := c.answer("POST"); got != "0 EOF" {
		t.Errorf("behind the end: %q", got)
	}
}

func TestBody_a_client_that_ends_early_is_an_error_and_ends_the_request(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"closes": func(c *client) { _ = c.Close() },
		"resets": func(c *client) { _, _ = c.Conn.(*net.TCPConn).SetLinger(0), c.Close() },
		"ends":   func(c *client) { _ = c.Conn.(*net.TCPConn).CloseWrite() },
	} {
		came, failed := make(chan struct{}), make(chan error, 3)
		w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadFull(r.Body, make([]byte, 4)); err != nil {
				t.Error(err)
			}
			close(came)
			_, err := io.ReadAll(r.Body)
			_, again := r.Body.Read(make([]byte, 1))
			<-r.Context().Done()
			failed <- err
			failed <- again
		})
		c := dial(t, w.address)
		c.say(upload(10) + "half")
		<-came
		leave(c)
		for range 2 {
			if err := <-failed; err == nil || name == "ends" && !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "use of closed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if name == "ends" {
			if res, _ := c.answer("POST"); !res.Close || !c.ended() {
				t.Errorf("the connection goes on: %v", res.Header)
			}
		}
	}
}

// A client that goes away when its whole body was read is noticed as one that
// has sent none, however long that took.
func TestBody_SP16_a_client_that_goes_away_behind_it_ends_its_request(t *testing.T) {
	came, looked, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-looked
		_, _ = io.ReadAll(r.Body)
		came <- struct{}{}
		<-r.Context().Done()
		close(gone)
	})
	c := dial(t, w.address)
	c.say(upload(5))
	c.say("he")
	<-came
	for range 3 {
		w.look()
	}
	if w.watching() { // by which the body would be taken for what follows it
		t.Error("the client is watched while its body comes")
	}
	close(looked)
	c.say("llo")
	<-came
	_ = c.Close()
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Fatal("the request goes on")
	}
}

// While a body or an upstream is waited for, the connection has no buffers.
func TestBody_that_is_waited_for_costs_no_memory(t *testing.T) {
	came := make(chan struct{})
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadFull(r.Body, make([]byte, 5))
		a, ok := w.(*answer)
		if err != nil || !ok || a.conn.in != nil || a.conn.out != nil || a.memory != nil {
			t.Errorf("there are buffers, %v", err)
		}
		close(came)
		echo(w, r)
	})
	c := dial(t, w.address)
	c.say(upload(10) + "hello")
	<-came
	c.say("again")
	if _, got := c.answer("POST"); got != "/up 10 again" {
		t.Errorf("got %q", got)
	}
}

// look looks after all clients once more.
func (w *world) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		c.look()
	}
}

// A deadline that is over ends also a body that is there.
func TestBody_that_has_come_too_late_is_not_read(t *testing.T) {
	const size = 3 * maxHead
	sent := make(chan struct{})
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-sent
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
		all, err := io.ReadAll(r.Body)
		if !errors.Is(err, os.ErrDeadlineExceeded) || len(all) > maxHead {
			t.Errorf("%d bytes, %v", len(all), err)
		}
	})
	c := dial(t, w.address)
	c.say(upload(size) + strings.Repeat("x", size))
	close(sent)
	if res, _ := c.answer("POST"); !res.Close {
		t.Error("the connection goes on")
	}
}

// timed reads with deadlines that are over, come, are changed by others, and
// are far away.
func timed(t *testing.T, w http.ResponseWriter, r *http.Request, waits chan<- http.ResponseWriter) {
	control := http.NewResponseController(w)
	for _, s := range []struct {
		name string
		till time.Time
		tell bool
		want error
		size int
	}{
		{"over, but it has come", time.Unix(1, 0), false, nil, 5},
		{"over", time.Unix(1, 0), false, os.ErrDeadlineExceeded, 1},
		{"soon", time.Now().Add(20 * time.Millisecond), false, os.ErrDeadlineExceeded, 1},
		{"ended by another", time.Time{}, true, os.ErrDeadlineExceeded, 1},
		{"far away", time.Now().Add(time.Hour), true, nil, 4},
	} {
		if err := control.SetReadDeadline(s.till); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if s.tell {
			waits <- w
		}
		if _, err := io.ReadFull(r.Body, make([]byte, s.size)); !errors.Is(err, s.want) {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	if r.Context().Err() == nil {
		t.Error("the request goes on, though its body was too slow")
	}
	_ = control.SetReadDeadline(time.Unix(1, 0)) // which must not meet the next request
}

func TestBody_has_the_time_that_its_handler_gives(t *testing.T) {
	waits := make(chan http.ResponseWriter)
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Timed") != "" {
			timed(t, w, r, waits)
			return
		}
		echo(w, r)
	})
	c := dial(t, w.address)
	for range 2 {
		c.say(upload(9, "X-Timed: x\r\n") + "hello")
		if err := http.NewResponseController(<-waits).SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		<-waits
		c.say("last" + upload(4))
		if res, _ := c.answer("POST"); res.Close {
			t.Error("the connection ends")
		}
		c.say("late")
		if _, got := c.answer("POST"); got != "/up 4 late" {
			t.Errorf("the next request: %q", got)
		}
	}
}
