package mail

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	"path/filepath"
	"strings"
	texttemplate "text/template"
	"unicode"

	"gatehouse.internal/auth-service/internal/auth"
)

// Letters of an operator's own come from a folder with two files for each
// letter that shall differ: NAME.txt, whose first line is the subject
// ("Subject: …") and the second is empty, and NAME.html. The files letter.txt,
// without a subject, and letter.html are the frame of all other letters.

const (
	frameName       = "letter"
	subjectPrefix   = "Subject: "
	maxTemplateFile = 64 << 10
	maxTemplates    = 128 // files in the folder
)

// view is what a template may use. It has what the letter says by default, and
// the facts that it is made from. Names and user agents are left out; see
// contentOf.
type view struct {
	content
	At        string // when it happened, for people; may be empty
	ExpiresAt string // when the link stops working, for people; may be empty
	Address   string // the client's network address; may be empty
	NewEmail  string // may be empty
	Again     bool   // the address was registered more than once
}

func viewOf(c content, m auth.Mail) view {
	v := view{content: c, Address: m.Data[auth.DataAddress], NewEmail: m.Data[auth.DataNewEmail], Again: m.Data[auth.DataAgain] != ""}
	v.At, _ = moment(m.Data[auth.DataAt])
	v.ExpiresAt, _ = moment(m.Data[auth.DataExpiresAt])
	return v
}

// form is how a letter is written.
type form struct {
	text *texttemplate.Template
	html *htmltemplate.Template
	own  bool // the text begins with its subject
}

// write gives subject, text and HTML of a letter.
func (f form) write(v view) (subject, text, html string, err error) {
	var plain, rich bytes.Buffer
	if err := f.text.Execute(&plain, v); err != nil {
		return "", "", "", err
	}
	if err := f.html.Execute(&rich, v); err != nil {
		return "", "", "", err
	}
	if !f.own {
		return v.Subject, plain.String(), rich.String(), nil
	}
	first, rest, _ := strings.Cut(strings.ReplaceAll(plain.String(), "\r\n", "\n"), "\n")
	subject, found := strings.CutPrefix(first, subjectPrefix)
	empty, body, _ := strings.Cut(rest, "\n")
	if subject = strings.TrimSpace(subject); !found || subject == "" || empty != "" || strings.ContainsFunc(subject, unicode.IsControl) {
		return "", "", "", fmt.Errorf("template: %s:1: the first line must be %q with a subject, and the second empty", f.text.Name(), subjectPrefix)
	}
	return subject, body, rich.String(), nil
}

// CheckTemplates reports every problem of a folder of templates, by file and
// line. An empty name is no folder.
func CheckTemplates(folder string) error {
	if folder == "" {
		return nil
	}
	s, err := New(Config{URL: "smtp://127.0.0.1", From: "check@example.com", PublicURL: "https://gateway.example.com"})
	if err != nil {
		return err
	}
	return s.load(folder)
}

// load reads the templates of a folder and tries each with data and without.
func (s *Sender) load(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("read mail templates: %w", err)
	}
	if len(entries) > maxTemplates {
		return fmt.Errorf("%s has more than %d files", folder, maxTemplates)
	}
	names := map[string]bool{}
	var problems []error
	for _, e := range entries {
		name, ext := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		_, err := s.sample(name, true)
		switch {
		case strings.HasPrefix(e.Name(), "."): // such as what an editor or Kubernetes leaves there
		case e.IsDir() || ext != ".txt" && ext != ".html" || name != frameName && err != nil:
			problems = append(problems, fmt.Errorf("%s: is no letter's text or HTML", filepath.Join(folder, e.Name())))
		default:
			names[name] = true
		}
	}
	for name := range names {
		f, err := readForm(folder, name)
		if err == nil {
			err = s.try(f, name)
		}
		if err != nil {
			problems = append(problems, located(folder, err))
			continue
		}
		if name == frameName {
			s.frame = f
		} else {
			s.own[name] = f
		}
	}
	return errors.Join(problems...)
}

// readForm reads the two files of a letter.
func readForm(folder, name string) (form, error) {
	f := form{own: name != frameName}
	text, errText := readTemplate(folder, name+".txt")
	html, errHTML := readTemplate(folder, name+".html")
	if err := errors.Join(errText, errHTML); err != nil {
		return form{}, err
	}
	f.text, errText = texttemplate.New(name + ".txt").Parse(text)
	f.html, errHTML = htmltemplate.New(name + ".html").Parse(html)
	if errText != nil {
		return form{}, errText
	}
	return f, errHTML
}

func readTemplate(folder, file string) (string, error) {
	info, err := os.Stat(filepath.Join(folder, file))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is missing: a letter has a .txt and an .html file", filepath.Join(folder, file))
	}
	if err == nil && info.Size() > maxTemplateFile {
		return "", fmt.Errorf("%s has over %d KiB", filepath.Join(folder, file), maxTemplateFile>>10)
	}
	data, err := os.ReadFile(filepath.Join(folder, file))
	return string(data), err
}

// try writes a letter with all data and with the least, and holds it to showing
// its link.
func (s *Sender) try(f form, name string) error {
	letter := name
	if name == frameName {
		letter = auth.MailVerifyEmail
	}
	for _, full := range []bool{true, false} {
		v, err := s.sample(letter, full)
		if err != nil {
			return err
		}
		_, text, html, err := f.write(v)
		if err != nil {
			return err
		}
		for file, body := range map[string]string{name + ".txt": text, name + ".html": html} {
			if v.Link != "" && !strings.Contains(body, v.Link) {
				return fmt.Errorf("template: %s: the letter needs its link, {{.Link}}", file)
			}
		}
	}
	return nil
}

// sample is a letter of the given name, with all data or with the least.
func (s *Sender) sample(name string, full bool) (view, error) {
	m := auth.Mail{Template: name, To: "ada@example.com", Data: map[string]string{auth.DataToken: "sample"}}
	if full {
		for name, value := range map[string]string{
			auth.DataAt: "2026-01-02T15:04:05Z", auth.DataExpiresAt: "2026-01-02T16:04:05Z", auth.DataAddress: "192.0.2.1",
			auth.DataNewEmail: "new@example.com", auth.DataAgain: "true",
		} {
			m.Data[name] = value
		}
	}
	c, err := s.contentOf(m)
	return viewOf(c, m), err
}

// located puts the folder before the file that an error of a template begins
// with.
func located(folder string, err error) error {
	text := err.Error()
	for _, prefix := range []string{"template: ", "html/template:"} {
		if rest, found := strings.CutPrefix(text, prefix); found {
			return errors.New(filepath.Join(folder, rest))
		}
	}
	return err
}
