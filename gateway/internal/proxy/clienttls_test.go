package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pair is a certificate with its key, and the files they are in.
type pair struct {
	leaf      *x509.Certificate
	key       *ecdsa.PrivateKey
	cert, pem string
}

// newPair makes a certificate for a name, signed by issuer or by itself.
func newPair(t *testing.T, name string, issuer *pair) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: issuer == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.leaf, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{leaf: leaf, key: key, cert: inFile(t, "CERTIFICATE", der), pem: inFile(t, "PRIVATE KEY", secret)}
}

func inFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// certificateOf gives the file of a test server's certificate.
func certificateOf(t *testing.T, s *httptest.Server) string {
	t.Helper()
	return inFile(t, "CERTIFICATE", s.Certificate().Raw)
}

func TestTLSFiles_S_P7_both_ends_of_a_hop_prove_who_they_are(t *testing.T) {
	authority := newPair(t, "authority", nil)
	server, client, stranger := newPair(t, "orders.internal", authority), newPair(t, "gateway", authority), newPair(t, "gateway", nil)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	trusted := x509.NewCertPool()
	trusted.AddCert(authority.leaf)
	up.TLS = &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.leaf.Raw}, PrivateKey: server.key}},
	}
	up.StartTLS()
	t.Cleanup(up.Close)
	ask := func(files *TLSFiles) (int, string) {
		transport := NewTransport(TransportOptions{TLS: files})
		t.Cleanup(transport.CloseIdleConnections)
		res, body := tunedFront(t, Options{Transport: transport}, up.URL).ask(t, get)
		return res.StatusCode, body
	}
	for _, c := range []struct {
		name  string
		files *TLSFiles
		well  bool
	}{
		{"both ends prove who they are", &TLSFiles{CA: authority.cert, Cert: client.cert, Key: client.pem, ServerName: "orders.internal"}, true},
		{"another name than the target's", &TLSFiles{CA: authority.cert, Cert: client.cert, Key: client.pem, ServerName: "users.internal"}, false},
		{"the target's address is not its name", &TLSFiles{CA: authority.cert, Cert: client.cert, Key: client.pem}, false},
		{"another authority", &TLSFiles{CA: stranger.cert, Cert: client.cert, Key: client.pem, ServerName: "orders.internal"}, false},
		{"the system's authorities", &TLSFiles{Cert: client.cert, Key: client.pem, ServerName: "orders.internal"}, false},
		{"without a certificate of the gateway", &TLSFiles{CA: authority.cert, ServerName: "orders.internal"}, false},
		{"with a certificate of another authority", &TLSFiles{CA: authority.cert, Cert: stranger.cert, Key: stranger.pem, ServerName: "orders.internal"}, false},
		{"files that are not there", &TLSFiles{CA: authority.cert + "x", ServerName: "orders.internal"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := ask(c.files)
			if c.well && (status != 200 || body != "gateway") || !c.well && status != 502 && status != 503 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	t.Run("files that change are read again, and bad ones are not used", func(t *testing.T) {
		now := time.Now()
		files := &TLSFiles{CA: authority.cert, Cert: stranger.cert, Key: stranger.pem, ServerName: "orders.internal", Now: func() time.Time { return now }}
		if status, body := ask(files); status != 502 && status != 503 {
			t.Fatalf("%d %s", status, body)
		}
		replace(t, stranger.cert, client.cert)
		now = now.Add(fileCheck)
		before, err := files.Config() // the key does not fit yet
		if err != nil {
			t.Fatal(err)
		}
		replace(t, stranger.pem, client.pem)
		now = now.Add(fileCheck - 1)
		if again, _ := files.Config(); again != before {
			t.Error("the files were looked at too soon")
		}
		now = now.Add(1)
		if status, body := ask(files); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	})
}

func replace(t *testing.T, name, by string) {
	t.Helper()
	content, err := os.ReadFile(by)
	if err == nil {
		err = os.WriteFile(name, append(content, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
