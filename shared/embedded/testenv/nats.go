package testenv

import (
	"log/slog"
	"strings"
	"testing"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded"
)

// EachNATS runs a test as "embedded" and as "real", on the local NATS server
// or on the one that GATEHOUSE_TEST_NATS_URL names. All subjects and streams
// of the test must be under prefix (bus.Config.Prefix); the streams are
// deleted afterwards.
func EachNATS(t *testing.T, run func(t *testing.T, url, prefix string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		url, prefix := NATS(t)
		run(t, url, prefix)
	})
	t.Run("real", func(t *testing.T) {
		url, prefix := RealNATS(t)
		run(t, url, prefix)
	})
}

// NATS gives an embedded server of the test's own, and a prefix.
func NATS(t testing.TB) (url, prefix string) {
	t.Helper()
	server, err := embedded.StartNATS(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL(), unique()
}

// RealNATS gives the real server and a prefix whose streams are deleted after
// the test. It skips the test where there is no server.
func RealNATS(t testing.TB) (url, prefix string) {
	t.Helper()
	url, prefix = setting("GATEHOUSE_TEST_NATS_URL", "nats://127.0.0.1:4222"), unique()
	address := url[strings.LastIndexAny(url, "/@")+1:]
	requireServer(t, "NATS", address)
	t.Cleanup(func() { deleteStreams(t, url, prefix) })
	return url, prefix
}

func deleteStreams(t testing.TB, url, prefix string) {
	t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "clean-up"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Errorf("connect to NATS to clean up: %v", err)
		return
	}
	defer b.Close()
	names, err := b.StreamNames(ctx)
	if err != nil {
		t.Errorf("list the streams of the test: %v", err)
	}
	for _, name := range names {
		if err := b.DeleteStream(ctx, name); err != nil {
			t.Errorf("delete a stream of the test: %v", err)
		}
	}
}
