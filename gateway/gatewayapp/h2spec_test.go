package gatewayapp

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	http2spec "github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// h2specOtherwise are the cases that h2spec wants otherwise than they are here,
// and why they are.
var h2specOtherwise = map[string]string{
	"http2/6.5.3/1":   "net/http ends a connection whose SETTINGS name one setting twice, as there is no use for that but abuse",
	"http2/8.1.2.2/1": "a malformed request may be answered before its stream is reset (RFC 9113 section 8.1.1); it gets 400, see TestHTTP2_MalformedRequests",
	"http2/8.1.2.2/2": "likewise",
}

// h2specClear are those of a port where clients may speak HTTP/1.1 as well.
var h2specClear = map[string]string{
	"http2/3.5/2": "what does not begin as HTTP/2 is a bad request in HTTP/1.1, which gets 400, see TestHTTP2_Frames",
}

// TestHTTP2_H2spec has h2spec, by which HTTP/2 servers are measured, talk to
// the gateway's listener, its strict cases included.
func TestHTTP2_H2spec(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		w.answers(func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "long enough to be sent in parts")
		})
		host, port, err := net.SplitHostPort(w.app.Addr())
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		run := h2specRun{config: &config.Config{
			Host: host, Port: number, Path: "/api/public/h2spec", TLS: w.cfg.TLSCert != "", Insecure: true,
			Timeout: 10 * time.Second, MaxHeaderLen: 4000, Strict: true,
		}}
		for _, group := range []*spec.TestGroup{generic.Spec(), http2spec.Spec(), hpack.Spec()} {
			run.group(t, group)
		}
		if all := run.passed + run.otherwise; all != 146 && !t.Failed() {
			t.Errorf("%d cases were run, there are 146", all)
		}
		t.Logf("%d cases of h2spec passed, %d are otherwise here", run.passed, run.otherwise)
	})
}

// h2specRun runs cases one after the other.
type h2specRun struct {
	config            *config.Config
	passed, otherwise int
}

// group runs the cases of a group and of those below it, by the numbers that
// h2spec itself gives them.
func (r *h2specRun) group(t *testing.T, g *spec.TestGroup) {
	t.Helper()
	for i, c := range append(append([]*spec.TestCase(nil), g.Tests...), g.StrictTests...) {
		id := g.ID() + "/" + strconv.Itoa(i+1)
		if h2specOtherwise[id] != "" || !r.config.TLS && h2specClear[id] != "" {
			r.otherwise++
			continue
		}
		if err := r.one(c); err != nil {
			t.Errorf("%s, %s: %s: %v", id, c.Desc, c.Requirement, err)
			continue
		}
		r.passed++
	}
	for _, below := range g.Groups {
		r.group(t, below)
	}
}

// one runs a case on a connection of its own.
func (r *h2specRun) one(c *spec.TestCase) error {
	conn, err := spec.Dial(r.config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return c.Run(r.config, conn)
}
