package mailbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at is the time that every letter of these tests is stamped with.
var at = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// open starts a sink and stops it with the test.
func open(t *testing.T, box *Mailbox) *Sink {
	t.Helper()
	sink, err := Listen("127.0.0.1:0", box, func() time.Time { return at }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sink.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return sink
}

// send sends a letter in the way of any mail program.
func send(t *testing.T, sink *Sink, to []string, lines ...string) error {
	t.Helper()
	return smtp.SendMail(strings.TrimPrefix(sink.URL(), "smtp://"), nil, "from@example.com", to,
		[]byte(strings.Join(lines, "\r\n")+"\r\n"))
}

func TestSink(t *testing.T) {
	alternative := []string{
		"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "MIME-Version: 1.0",
		`Content-Type: multipart/alternative; boundary="b1"`, "",
		"--b1", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "",
		"token=3Dabc", "--b1", "Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64", "",
		"PGI+aGk8L2I+", "--b1--",
	}
	for _, c := range []struct {
		name  string
		to    []string
		lines []string
		want  []Letter
	}{
		{"a plain letter", []string{"a@example.com"}, []string{"Subject: hello", "", "body", "more"},
			[]Letter{{To: "a@example.com", Subject: "hello", Text: "body\nmore\n", SentAt: at}}},
		{"text and HTML are decoded, and so is the subject", []string{"a@example.com"}, alternative,
			[]Letter{{To: "a@example.com", Subject: "Grüße", Text: "token=abc", HTML: "<b>hi</b>", SentAt: at}}},
		{"each recipient has an own copy", []string{"a@example.com", "b@example.com"}, []string{"Subject: x", "", "y"},
			[]Letter{{To: "b@example.com", Subject: "x", Text: "y\n", SentAt: at}, {To: "a@example.com", Subject: "x", Text: "y\n", SentAt: at}}},
		{"attachments are left out", []string{"a@example.com"}, []string{
			`Content-Type: multipart/mixed; boundary="b"`, "", "--b", "Content-Disposition: attachment; filename=x", "", "secret",
			"--b", "Content-Type: text/plain", "", "shown", "--b--"},
			[]Letter{{To: "a@example.com", Text: "shown", SentAt: at}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var box Mailbox
			if err := send(t, open(t, &box), c.to, c.lines...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(box.Letters(), c.want); diff != "" {
				t.Errorf("letters (-got +want):\n%s", diff)
			}
		})
	}
}

func TestSink_refuses(t *testing.T) {
	nested := []string{`Content-Type: multipart/mixed; boundary="b0"`, ""}
	for i := range maxDepth + 1 {
		nested = append(nested, fmt.Sprintf("--b%d", i), fmt.Sprintf(`Content-Type: multipart/mixed; boundary="b%d"`, i+1), "")
	}
	for _, c := range []struct {
		name  string
		lines []string
	}{
		{"a letter over a megabyte", []string{"Subject: x", "", strings.Repeat("0123456789\r\n", maxLetterBytes/10)}},
		{"a letter without end of its header", []string{"no colon here"}},
		{"a letter nested without end", nested},
		{"broken base64", []string{"Content-Transfer-Encoding: base64", "", "!!!!"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var box Mailbox
			if err := send(t, open(t, &box), []string{"a@example.com"}, c.lines...); err == nil {
				t.Error("the letter was taken")
			}
			if got := box.Letters(); len(got) != 0 {
				t.Errorf("the mailbox holds %d letters", len(got))
			}
		})
	}
	t.Run("an address that others can reach", func(t *testing.T) {
		if _, err := Listen("0.0.0.0:0", new(Mailbox), time.Now, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("it listens")
		}
	})
}

func TestMailbox(t *testing.T) {
	t.Run("the newest letters are kept, and shown first", func(t *testing.T) {
		var box Mailbox
		for i := range Capacity + 3 {
			box.Add(Letter{Subject: fmt.Sprint(i)})
		}
		got := box.Letters()
		if len(got) != Capacity || got[0].Subject != fmt.Sprint(Capacity+2) || got[Capacity-1].Subject != "3" {
			t.Errorf("%d letters, from %s to %s", len(got), got[0].Subject, got[len(got)-1].Subject)
		}
	})
	t.Run("an empty mailbox is an empty array", func(t *testing.T) {
		w := httptest.NewRecorder()
		new(Mailbox).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/dev/mail", nil))
		if w.Code != http.StatusOK || w.Body.String() != "[]" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
	t.Run("letters have the members of the contract", func(t *testing.T) {
		var box Mailbox
		box.Add(Letter{To: "a@example.com", SentAt: at})
		w := httptest.NewRecorder()
		box.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/dev/mail", nil))
		var got []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := []map[string]any{{"to": "a@example.com", "subject": "", "text": "", "html": "", "sent_at": "2026-11-21T10:00:00Z"}}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
	t.Run("it can only be read", func(t *testing.T) {
		w := httptest.NewRecorder()
		new(Mailbox).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/dev/mail", nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
			t.Errorf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
		}
	})
}
