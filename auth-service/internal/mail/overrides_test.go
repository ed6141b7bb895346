package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// folder writes files by their names.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const goodText = "Subject: Welcome to the mill\n\nOpen {{.Link}}{{if .ExpiresAt}} until {{.ExpiresAt}}{{end}}.\n"

func TestSender_writesLettersOfTheOperatorsOwn(t *testing.T) {
	server := &mailServer{}
	startMailServer(t, server, nil, false)
	s, err := New(Config{
		URL: "smtp://" + server.addr, From: "mill@example.com", PublicURL: "https://gateway.example.com", Now: time.Now,
		Templates: folder(t, map[string]string{
			"verify_email.txt": goodText, "verify_email.html": `<p>Mill: <a href="{{.Link}}">open</a> {{.Address}}</p>`,
			"letter.txt": "MILL\n{{.Subject}}\n{{.Link}}", "letter.html": `<h1>MILL</h1>{{.Closing}} <a href="{{.Link}}">x</a>`,
			".hidden": "x",
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	own := verification
	own.Data[auth.DataAddress] = "<script>"
	for _, m := range []auth.Mail{own, {Template: auth.MailPasswordChanged, To: "ada@example.com"}} {
		if err := s.Send(t.Context(), "id", m); err != nil {
			t.Fatal(err)
		}
	}
	got := server.got()
	header, text, html := parts(t, got[0].data)
	link := "https://gateway.example.com/auth/email/verify?token=to%2Bken_1"
	if header.Get("Subject") != "Welcome to the mill" || !strings.HasPrefix(text, "Open "+link+" until 22 November 2026") ||
		!strings.Contains(html, `<a href="`+link) || strings.Contains(html, "<script>") {
		t.Errorf("subject %q\n%s\n%s", header.Get("Subject"), text, html)
	}
	header, text, html = parts(t, got[1].data)
	if header.Get("Subject") != "Your password was changed" || !strings.HasPrefix(text, "MILL") || !strings.HasPrefix(html, "<h1>MILL") {
		t.Errorf("in the frame: subject %q\n%s\n%s", header.Get("Subject"), text, html)
	}
}

func TestCheckTemplates_namesFileAndLine(t *testing.T) {
	const html = `<a href="{{.Link}}">x</a>`
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing":            {nil, nil},
		"good":               {map[string]string{"verify_email.txt": goodText, "verify_email.html": html}, nil},
		"an unknown letter":  {map[string]string{"verfy_email.txt": goodText}, []string{"verfy_email.txt: is no letter's"}},
		"another kind":       {map[string]string{"verify_email.md": goodText}, []string{"verify_email.md: is no letter's"}},
		"half a letter":      {map[string]string{"verify_email.txt": goodText}, []string{"verify_email.html is missing"}},
		"syntax":             {map[string]string{"verify_email.txt": "Subject: x\n\n{{.Link}\n", "verify_email.html": html}, []string{"verify_email.txt:3: "}},
		"syntax in HTML":     {map[string]string{"verify_email.txt": goodText, "verify_email.html": "<p>\n{{end}}"}, []string{"verify_email.html:2: "}},
		"an unknown field":   {map[string]string{"verify_email.txt": goodText + "\n{{.FirstName}}", "verify_email.html": html}, []string{"verify_email.txt:5:", "FirstName"}},
		"no subject":         {map[string]string{"verify_email.txt": "Hello\n{{.Link}}", "verify_email.html": html}, []string{"verify_email.txt:1: the first line must be"}},
		"no link":            {map[string]string{"verify_email.txt": "Subject: x\n\nHello", "verify_email.html": html}, []string{"verify_email.txt: the letter needs its link"}},
		"no link in HTML":    {map[string]string{"verify_email.txt": goodText, "verify_email.html": "Hello"}, []string{"verify_email.html: the letter needs its link"}},
		"an unsafe place":    {map[string]string{"verify_email.txt": goodText, "verify_email.html": html + "<script>var x = {{.Link"}, []string{"verify_email.html:1: "}},
		"a large one":        {map[string]string{"verify_email.txt": goodText + strings.Repeat("x", 70<<10), "verify_email.html": html}, []string{"verify_email.txt has over 64 KiB"}},
		"several problems":   {map[string]string{"a.txt": "", "verify_email.txt": goodText}, []string{"a.txt: is no", "verify_email.html is missing"}},
		"a letter of no one": {map[string]string{"nothing.txt": goodText, "nothing.html": html}, []string{"nothing.txt: is no letter's"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, c.files)
			err := CheckTemplates(dir)
			if len(c.want) == 0 && err != nil {
				t.Errorf("got %v", err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
					t.Errorf("got %v, want %q and the folder", err, want)
				}
			}
		})
	}
	if err := CheckTemplates(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a folder that is not there is accepted")
	}
	if err := CheckTemplates(""); err != nil {
		t.Error(err)
	}
}
