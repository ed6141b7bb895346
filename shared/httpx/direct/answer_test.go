package direct

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answers are handlers whose answers must be the same as by net/http.
var answers = map[string]http.HandlerFunc{
	"nothing": func(http.ResponseWriter, *http.Request) {},
	"a text":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
	"in pieces": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "he")
		_, _ = io.WriteString(w, "llo")
	},
	"of a type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "{}")
	},
	"of no type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	},
	"encoded": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not really")
	},
	"of a length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hello")
	},
	"longer than its length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hello")
		if _, err := io.WriteString(w, "!"); err != http.ErrContentLength { //nolint:errorlint // as net/http gives it
			panic("too much was taken")
		}
	},
	"shorter than its length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9")
		_, _ = io.WriteString(w, "hello")
	},
	"large": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 100_000)) },
	"large, of a length": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		}
	},
	"flushed": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, " again")
	},
	"flushed first": func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "hello")
	},
	"204": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed { //nolint:errorlint // as above
			panic("204 took a body")
		}
	},
	"304": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"x"`)
		w.WriteHeader(http.StatusNotModified)
	},
	"a strange status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599); _, _ = io.WriteString(w, "hello") },
	"twice":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400); w.WriteHeader(500) },
	"dated":            func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "yesterday") },
	"that closes":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
	"with lines in it": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Test"] = []string{"a\r\nX-Evil: b", " c\t", "d\n\n"}
		w.Header()["Bad Name"] = []string{"e"}
		w.Header()["Bad\r\nName"] = []string{"f"}
	},
	"changed too late": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.Header().Set("X-Late", "x")
	},
	"with trailers": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum, X-Other")
		_, _ = io.WriteString(w, "hello")
		w.Header().Set("X-Sum", "5")
	},
	"with late trailers": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "5")
	},
	"with an interim one": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</x>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "hello")
	},
	"the body": func(w http.ResponseWriter, r *http.Request) {
		all, _ := io.ReadAll(r.Body)
		_, _ = w.Write(all)
	},
	"the body, of a length": func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		}
		all, err := io.ReadAll(r.Body)
		if _, again := r.Body.Read(make([]byte, 1)); err != nil || again != io.EOF || r.Body.Close() != nil {
			panic("the body does not end")
		}
		_, _ = w.Write(all)
	},
	"a part of the body": func(w http.ResponseWriter, r *http.Request) { _, _ = io.CopyN(w, r.Body, 7) },
	"the body behind the head": func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusAccepted)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	},
	"a closed body": func(w http.ResponseWriter, r *http.Request) {
		_ = r.Body.Close()
		_, err := r.Body.Read(make([]byte, 1))
		_, _ = fmt.Fprint(w, err)
	},
	"cut off": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
}

// TestAnswer_is_that_of_net_http asks both servers the same.
func TestAnswer_is_that_of_net_http(t *testing.T) {
	for name, h := range answers {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
			ours := serve(t, h)
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			theirs := &http.Server{Handler: h, ReadHeaderTimeout: 1 << 40}
			go func() { _ = theirs.Serve(l) }()
			got, want := shown(t, ours.address, method), shown(t, l.Addr().String(), method)
			_ = theirs.Close()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-net/http +direct):\n%s", method, name, diff)
			}
		}
	}
}

func TestAnswer_is_framed_once_whatever_its_handler_says(t *testing.T) {
	w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Transfer-Encoding"] = []string{"chunked"}
		w.Header()["Content-Length"] = []string{"5", "6"}
		_, _ = io.WriteString(w, "hello")
	})
	c := dial(t, w.address)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(c.in)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(all); strings.Count(text, "Content-Length: 5\r\n") != 1 || strings.Contains(text, "Transfer-Encoding") || !strings.HasSuffix(text, "\r\n\r\nhello") {
		t.Errorf("got %q", text)
	}
}

// look is what a client sees of an answer.
type look struct {
	Status          int
	Header, Trailer http.Header
	Length          int64
	Encoding        []string
	Body            string
	Interim         []int
	Ended           bool
}

func shown(t *testing.T, address, method string) (l look) {
	t.Helper()
	c := dial(t, address)
	text := method + " / HTTP/1.1\r\nHost: x\r\n\r\n"
	if method == http.MethodPut {
		text = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000)
	}
	c.say(text)
	res, body := c.answer(method)
	for res.StatusCode < 200 {
		l.Interim = append(l.Interim, res.StatusCode)
		res, body = c.answer(method)
	}
	if date := res.Header.Get("Date"); date != "yesterday" {
		if _, err := http.ParseTime(date); err != nil {
			t.Errorf("date: %v", err)
		}
		res.Header.Del("Date")
	}
	l.Status, l.Header, l.Trailer, l.Length, l.Encoding, l.Body = res.StatusCode, res.Header, res.Trailer, res.ContentLength, res.TransferEncoding, body
	if len(l.Trailer) == 0 {
		l.Trailer = nil
	}
	if tcp, ok := c.Conn.(*net.TCPConn); ok && !res.Close && !strings.Contains(body, "cut off") {
		_ = tcp.CloseWrite() // so that a server that stays does not
	}
	l.Ended = c.ended()
	return l
}
