package httpx

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
)

// writer passes an answer on, remembers what it was, and completes its
// headers just before they are sent, so that nothing is set twice when the
// answer comes from an upstream that has set it already.
type writer struct {
	http.ResponseWriter
	record   *record
	status   int // 0 until the header of the final answer is sent
	bytes    int64
	hijacked bool
}

// WriteHeader sends the header. Informational answers (1xx) pass by; 101 is
// final, because HTTP ends with it.
func (w *writer) WriteHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if w.status == 0 && !informational {
		w.status = status
		w.record.complete(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

// TakeHeader has h stand in place of the answer's header, which spares copying
// it. It reports whether it does: some writers cannot do that.
func (w *writer) TakeHeader(h http.Header) bool {
	taking, ok := w.ResponseWriter.(interface{ TakeHeader(h http.Header) bool })
	return ok && taking.TakeHeader(h)
}

// Write sends a part of the body.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what is buffered.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for callers of http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// Hijack gives the connection away; the answer is then no longer ours.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	w.hijacked = true
	if w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, buffer, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) begun() bool { return w.status != 0 }
