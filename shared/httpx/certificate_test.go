package httpx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// WritePair writes a certificate with the serial number into the folder.
func WritePair(t *testing.T, dir string, serial int64, modified time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), modified)
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), modified)
	return certFile, keyFile
}

func write(t *testing.T, file string, data []byte, modified time.Time) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, modified, modified); err != nil {
		t.Fatal(err)
	}
}

func TestCertificate_a_new_one_is_used_and_a_bad_one_is_not(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	certFile, keyFile := WritePair(t, dir, 1, now)
	c, err := loadCertificate(certFile, keyFile, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	logged := func(what string, times int) {
		t.Helper()
		if got := strings.Count(log.String(), what); got != times {
			t.Errorf("%q is logged %d times, want %d:\n%s", what, got, times, log.String())
		}
	}
	serial := func() int64 {
		t.Helper()
		got, err := c.get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.Int64()
	}
	expect := func(when string, want int64) {
		t.Helper()
		if got := serial(); got != want {
			t.Errorf("%s: certificate %d, want %d", when, got, want)
		}
	}
	expect("at first", 1)

	WritePair(t, dir, 2, now.Add(time.Second))
	expect("before the files are looked at again", 1)
	now = now.Add(certificateCheck)
	expect("after that", 2)
	logged("new certificate", 1)
	if got := c.expiry(); got != float64(c.current.Leaf.NotAfter.Unix()) || got < float64(time.Now().Unix()) {
		t.Errorf("it expires at %v", got)
	}

	write(t, keyFile, []byte("half a key"), now.Add(time.Second))
	now = now.Add(certificateCheck)
	expect("with a bad key", 2)
	now = now.Add(certificateCheck)
	expect("still", 2)
	logged("new certificate is not used", 1)

	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	now = now.Add(certificateCheck)
	expect("with the file gone", 2)

	WritePair(t, dir, 3, now.Add(time.Second))
	now = now.Add(certificateCheck)
	expect("with a good pair again", 3)

	// A key that came before its certificate is no pair, and is one later.
	before, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	WritePair(t, dir, 4, now.Add(time.Second))
	after, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, before, now.Add(time.Second))
	now = now.Add(certificateCheck)
	expect("with half a pair", 3)
	write(t, certFile, after, now.Add(time.Second))
	now = now.Add(certificateCheck)
	expect("with the other half", 4)
}
