package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/smtp"
	"strings"
	"testing"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
)

// start runs devtools and returns a function that reads a value from its log:
// the value of key in the record with the given message.
func start(t *testing.T, args ...string) func(message, key string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, args, io.Discard, in)
		_ = in.Close()
	}()
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, out)
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return func(message, key string) string {
		t.Helper()
		for lines.Scan() {
			var record map[string]any
			if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
				t.Fatalf("log: %v", err)
			}
			if record["msg"] == message {
				return record[key].(string)
			}
		}
		t.Fatalf("the log ends before %q", message)
		return ""
	}
}

// get returns the body of a page.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", res.Status, err, body)
	}
	return string(body)
}

func TestRun(t *testing.T) {
	t.Run("mail that is sent can be read", func(t *testing.T) {
		value := start(t, "mailbox")
		url, addr := value("takes mail", "url"), value("listens", "addr")
		err := smtp.SendMail(strings.TrimPrefix(url, "smtp://"), nil, "a@example.com", []string{"b@example.com"}, []byte("Subject: hi\r\n\r\nbody\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := get(t, "http://"+addr+"/dev/mail"); !strings.Contains(got, `"subject":"hi"`) {
			t.Errorf("the mailbox shows %s", got)
		}
	})
	t.Run("echo answers with the request", func(t *testing.T) {
		addr := start(t, "echo")("listens", "addr")
		if got := get(t, "http://"+addr+"/a?b=c"); !strings.Contains(got, `"path":"/a","raw_query":"b=c"`) {
			t.Errorf("the answer is %s", got)
		}
	})
}

func TestRun_routes(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"routes", "-example-url", "http://a:1", "-mailbox-url", "http://b:2"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, `targets: ["http://a:1"]`) || !strings.Contains(text, `targets: ["http://b:2"]`) || strings.Contains(text, "@") {
		t.Errorf("the routes are:\n%s", text)
	}
}

func TestRun_purge(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, stream := range []bus.Stream{
		{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}},
		{Name: "ANOTHERS", Subjects: []string{"anothers.>"}},
	} {
		if err := b.EnsureStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), []string{"purge", "-nats-url", url, "-nats-prefix", prefix}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if names, err := b.StreamNames(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("left are %v, %v", names, err)
	}
	if _, _, err := b.LastInStream(t.Context(), "ANOTHERS", "anothers.x"); err != nil {
		t.Errorf("the stream of another: %v", err)
	}
}

func TestRun_refuses(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"no program", nil},
		{"an unknown program", []string{"fax"}},
		{"an unknown flag", []string{"echo", "-x"}},
		{"an argument too many", []string{"echo", "now"}},
		{"a purge of everything", []string{"purge", "-nats-url", "nats://127.0.0.1:1"}},
		{"a purge of a broker that is away", []string{"purge", "-nats-url", "nats://127.0.0.1:1", "-nats-prefix", "x"}},
		{"routes to nowhere", []string{"routes"}},
		{"an address that is none", []string{"echo", "-addr", "nowhere"}},
		{"a mailbox for everybody", []string{"mailbox", "-smtp-addr", "0.0.0.0:0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := run(t.Context(), c.args, io.Discard, io.Discard); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}
