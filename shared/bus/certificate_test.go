package bus_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/fault"
)

// authority issues certificates. This process trusts the one of TestMain, as it
// would trust the operator's own, by SSL_CERT_FILE.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var trusted *authority

// trust makes the authority that this process trusts. It must come before
// anybody has asked for the system's.
func trust() (forget func(), err error) {
	if trusted, err = newAuthority(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-bus-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.cert.Raw}), 0o600); err != nil {
		return nil, err
	}
	return func() { _ = os.RemoveAll(dir) }, os.Setenv("SSL_CERT_FILE", file)
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

// issue gives a server on loopback a certificate that ends at a moment.
func (a *authority) issue(t *testing.T, end time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startTLSServer starts a broker that shows the certificate that is in use at
// the time, and gives its address.
func startTLSServer(t *testing.T, use *atomic.Pointer[tls.Certificate]) string {
	t.Helper()
	s, err := natsd.NewServer(&natsd.Options{
		Host: "127.0.0.1", Port: natsd.RANDOM_PORT, NoSigs: true, NoLog: true, TLS: true, TLSTimeout: 2,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return use.Load(), nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the broker does not listen")
	}
	return s.Addr().String()
}

// said keeps a log that is written while it is read.
type said struct {
	mu  sync.Mutex
	log bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *said) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.log.String(), text)
}

// F44 I2 I11: a broker whose certificate has expired is no broker. Nothing is
// sent to it, the log says why, and a new certificate is all that it takes.
func TestConnect_F44_an_expired_certificate_is_no_connection(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SSL_CERT_FILE names the authorities on Linux")
	}
	stranger, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var use atomic.Pointer[tls.Certificate]
	use.Store(trusted.issue(t, time.Now().Add(time.Hour)))
	w := startWire(t, startTLSServer(t, &use))
	var log said
	b, err := bus.Connect(bus.Config{URL: strings.Replace(w.url(), "nats:", "tls:", 1), Name: t.Name()}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", log.log.String())
		}
	})
	var got recorder
	if _, err := b.Subscribe("core", func(m bus.Message) { got.add(string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	flows := func(text string) func() bool {
		return func() bool { return b.Publish("core", []byte(text)) == nil && got.has(text) }
	}
	eventually(t, "messages flow", flows("at first"))
	for _, bad := range []struct {
		name, says string
		cert       *tls.Certificate
	}{
		{"expired", "certificate has expired", trusted.issue(t, time.Now().Add(-time.Minute))},
		{"of a stranger", "signed by unknown authority", stranger.issue(t, time.Now().Add(time.Hour))},
	} {
		use.Store(bad.cert)
		w.cut()
		eventually(t, bad.name+": the log says why", func() bool { return log.count(bad.says) > 0 })
		for range 130 {
			within(t, 50*time.Millisecond, "Publish", func() {
				if err := b.Publish("core", []byte("refused")); !fault.Is(err, fault.Unavailable) {
					t.Fatalf("%s: Publish: %v", bad.name, err)
				}
			})
			if err := pause(t, 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: Ready: %v", bad.name, err)
		}
		if n := log.count(bad.says); n > 1 {
			t.Errorf("%s: the log says so %d times", bad.name, n)
		}
		use.Store(trusted.issue(t, time.Now().Add(time.Hour)))
		eventually(t, "messages flow with a new certificate", flows("after "+bad.name))
	}
	if got.has("refused") {
		t.Error("a refused message was delivered")
	}
}
