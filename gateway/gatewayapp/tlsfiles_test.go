package gatewayapp

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/bus"
)

// TestNew_TLSFilesThatCannotBeUsed has each file that a route file names, and
// that cannot be used, told with the line and column where it is named.
func TestNew_TLSFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificateFiles(t)
	garbage := filepath.Join(dir, "garbage.pem")
	file := filepath.Join(dir, "routes.yaml")
	text := strings.NewReplacer("DIR", dir, "CERT", cert, "KEY", key, "GARBAGE", garbage).Replace(`upstreams:
  gone: { targets: ["https://a"], tls: { ca: DIR/gone.pem } }
  garbage: { targets: ["https://a"], tls: { ca: GARBAGE } }
  half:
    targets: ["https://a"]
    tls:
      cert: CERT
      key: DIR/gone.pem
  wrong: { targets: ["https://a"], tls: { cert: KEY, key: CERT } }
  good: { targets: ["https://a"], tls: { ca: CERT, cert: CERT, key: KEY } }
routes: []
`)
	for name, content := range map[string]string{garbage: "nothing", file: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := New(context.Background(), Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", Issuer: "https://gatehouse.test", Audience: "x", Routes: []string{file},
		AuthURL: []string{"http://127.0.0.1:9"}, UserURL: []string{"http://127.0.0.1:9"}, RedisURL: "redis://127.0.0.1:9/0", NATS: bus.Config{URL: "nats://127.0.0.1:9"},
	}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("it begins")
	}
	want := []string{":2:46: tls.ca: look at a file", ":3:49: tls.ca: read authorities: " + garbage + " holds no certificate", ":8:12: tls.key: ", ":9:49: tls.cert: read certificate "}
	for _, problem := range want {
		if !strings.Contains(err.Error(), file+problem) {
			t.Errorf("%s is not told in\n%v", problem, err)
		}
	}
	if got := strings.Count(err.Error(), file+":"); got != len(want) || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("%d problems, want %d:\n%v", got, len(want), err)
	}
}

// TestSameUpstream has an upstream that only moved in its file kept.
func TestSameUpstream(t *testing.T) {
	at := func(line int, ca string) route.Upstream {
		p := route.Position{File: "r.yaml", Line: line, Column: 3}
		return route.Upstream{Name: "a", Targets: []string{"https://a"}, Source: p, TLS: &route.TLS{CA: ca, At: route.TLSPlaces{CA: p}}}
	}
	if !sameUpstream(at(1, "/ca.pem"), at(9, "/ca.pem")) || sameUpstream(at(1, "/ca.pem"), at(1, "/other.pem")) {
		t.Error("places count, or files do not")
	}
}
