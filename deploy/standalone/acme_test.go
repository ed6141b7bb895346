package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/bus"
)

// authority is a real ACME server with an authority behind it. It finds every
// name at 127.0.0.1 and looks at proofs at a port that leads to the gateway.
type authority struct {
	*httptest.Server
	roots  *x509.CertPool // whom its certificates go back to
	orders atomic.Int64
	proofs net.Listener
	mu     sync.Mutex
	front  string // where proofs are
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "20") // of a hundred, so that nonces are asked for anew
	a := &authority{roots: x509.NewCertPool()}
	var group sync.WaitGroup
	a.proofs = listenAnywhere(t)
	group.Go(func() { a.lead(&group) })
	names := &dns.Server{Listener: listenAnywhere(t), Handler: dns.HandlerFunc(everyName)}
	group.Go(func() { _ = names.ActivateAndServe() })
	t.Cleanup(func() { _ = a.proofs.Close(); _ = names.Listener.Close(); group.Wait() })

	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	checks := va.New(quiet, 1, a.proofs.Addr().(*net.TCPAddr).Port, false, names.Listener.Addr().String(), store)
	front := wfe.New(quiet, store, checks, issuer, []string{"ca.test"}, false, false, 0, 0)
	handler := front.Handler()
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/order-plz" {
			a.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	if !a.roots.AppendCertsFromPEM(issuer.GetRootCert(0).PEM()) {
		t.Fatal("the authority has no root")
	}
	return a
}

func listenAnywhere(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func everyName(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg).SetReply(query)
	if q := query.Question[0]; q.Qtype == dns.TypeA {
		answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
	}
	_ = w.WriteMsg(answer)
}

// lead leads the authority to the gateway, as a load balancer does.
func (a *authority) lead(group *sync.WaitGroup) {
	for {
		in, err := a.proofs.Accept()
		if err != nil {
			return
		}
		a.mu.Lock()
		to := a.front
		a.mu.Unlock()
		group.Go(func() {
			defer func() { _ = in.Close() }()
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer func() { _ = out.Close() }()
			group.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			_, _ = io.Copy(in, out)
		})
	}
}

// gateway starts one that has its certificates issued here, and gives its
// address and its end.
func (a *authority) gateway(t *testing.T, cache string, hosts ...string) (*gatewayapp.App, func()) {
	t.Helper()
	trust := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := gatewayapp.New(t.Context(), gatewayapp.Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", Issuer: "https://gatehouse.test", Audience: "x",
		AuthURL: []string{"http://127.0.0.1:9"}, UserURL: []string{"http://127.0.0.1:9"}, RedisURL: "redis://127.0.0.1:9/0", NATS: bus.Config{URL: "nats://127.0.0.1:9"},
		ACMEHosts: hosts, ACMEEmail: "operator@example.com", ACMEDirectory: a.URL + wfe.DirectoryPath, ACMECache: cache, ACMECA: trust,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.front = app.Addr()
	a.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return app, stop
}

// shake shakes hands with a gateway for a name.
func (a *authority) shake(app *gatewayapp.App, host string, protocols ...string) (tls.ConnectionState, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", app.Addr(), &tls.Config{RootCAs: a.roots, ServerName: host, NextProtos: protocols, MinVersion: tls.VersionTLS12})
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState(), nil
}

// TestACME has a gateway get its certificates from a real ACME server.
func TestACME(t *testing.T) {
	a := newAuthority(t)
	cache := t.TempDir()
	hosts := []string{"api.gatehouse.test", "www.gatehouse.test"}
	app, stop := a.gateway(t, cache, hosts...)
	deadline := time.After(60 * time.Second)
	for _, host := range hosts {
		for {
			state, err := a.shake(app, host, "h2", "http/1.1")
			if err == nil {
				if err := state.PeerCertificates[0].VerifyHostname(host); err != nil || state.NegotiatedProtocol != "h2" {
					t.Errorf("%s: %v, speaks %q", host, err, state.NegotiatedProtocol)
				}
				break
			}
			select {
			case <-deadline:
				t.Fatalf("no certificate for %s: %v", host, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots, ServerName: hosts[0], MinVersion: tls.VersionTLS12}}}
	defer client.CloseIdleConnections()
	if res, err := client.Get("https://" + app.Addr() + "/nothing"); err != nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("%v, %v", res, err)
	} else {
		_ = res.Body.Close()
	}
	if res, err := http.Get("http://" + app.OpsAddr() + "/metrics"); err != nil {
		t.Error(err)
	} else {
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if _, after, found := strings.Cut(string(text), "\ngatehouse_http_certificate_expiry_seconds{"); !found || strings.Contains(after[:strings.IndexByte(after, '\n')], " 0") {
			t.Error("the metrics do not tell when the certificates expire")
		}
	}
	// Nobody can have certificates issued, or proofs shown, of other names.
	orders := a.orders.Load()
	if _, err := a.shake(app, "other.gatehouse.test"); err == nil {
		t.Error("a certificate for a name that is not ours")
	}
	if _, err := a.shake(app, "other.gatehouse.test", "acme-tls/1"); err == nil {
		t.Error("a proof of a name that is not ours")
	}
	stop()
	if got := a.orders.Load(); got != orders || orders == 0 {
		t.Errorf("%d orders, were %d", got, orders)
	}
	// What was issued outlives the process, and needs no authority.
	a.Close()
	again, _ := a.gateway(t, cache, hosts...)
	if _, err := a.shake(again, hosts[1]); err != nil {
		t.Error(err)
	}
}
