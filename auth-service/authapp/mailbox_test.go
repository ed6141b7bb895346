package authapp_test

import (
	"bytes"
	"io"
	"log"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// mailbox is a mail server that keeps what it gets.
type mailbox struct {
	url string

	mu      sync.Mutex
	letters map[string][]string // by recipient
}

func startMailbox(t testing.TB) *mailbox {
	t.Helper()
	box := &mailbox{letters: map[string][]string{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &drop{box: box}, nil }))
	server.Domain = "mail.test"
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.url = "smtp://" + listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return box
}

// token waits for a letter to the address and gives the token of its link.
func (b *mailbox) token(t testing.TB, to string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		b.mu.Lock()
		letters := b.letters[to]
		b.mu.Unlock()
		if len(letters) > 0 {
			found := regexp.MustCompile(`token=([A-Za-z0-9_.~%-]+)`).FindStringSubmatch(letters[len(letters)-1])
			if found == nil {
				t.Fatalf("no link in\n%s", letters[len(letters)-1])
			}
			return found[1]
		}
		<-tick.C
	}
	t.Fatalf("no letter to %s", to)
	return ""
}

// has reports whether a letter to the address holds the text.
func (b *mailbox) has(to, text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.letters[to], func(letter string) bool { return strings.Contains(letter, text) })
}

// drop is one connection to the mailbox.
type drop struct {
	box *mailbox
	to  string
}

func (d *drop) Reset()                                    {}
func (d *drop) Logout() error                             { return nil }
func (d *drop) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *drop) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }
func (d *drop) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	letter, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(quotedprintable.NewReader(letter.Body))
	if err != nil && !strings.Contains(err.Error(), "quotedprintable") {
		return err
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.letters[d.to] = append(d.box.letters[d.to], string(body))
	return nil
}
