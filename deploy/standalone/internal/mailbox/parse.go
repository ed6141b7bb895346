package mailbox

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// Bounds of a letter's structure: a letter from a hand-written client must not
// keep the parser busy.
const (
	maxDepth = 5
	maxParts = 50
)

// errTooComplex refuses letters beyond these bounds.
var errTooComplex = errors.New("too many parts")

// parse reads a letter (RFC 5322, RFC 2045): its subject, its first plain text
// and its first HTML. Attachments are left out.
func parse(r io.Reader) (Letter, error) {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return Letter{}, fmt.Errorf("read letter: %w", err)
	}
	subject := message.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(subject); err == nil {
		subject = decoded
	}
	p := parser{letter: Letter{Subject: subject}}
	err = p.part(part{
		contentType: message.Header.Get("Content-Type"),
		encoding:    message.Header.Get("Content-Transfer-Encoding"),
		disposition: message.Header.Get("Content-Disposition"),
		body:        message.Body,
	}, maxDepth)
	return p.letter, err
}

// part is a letter or a part of one.
type part struct {
	contentType, encoding, disposition string
	body                               io.Reader
}

// parser gathers what it finds in the parts of one letter.
type parser struct {
	letter Letter
	parts  int
}

// part reads one part, and those within it down to the given depth.
func (p *parser) part(in part, depth int) error {
	if p.parts++; depth == 0 || p.parts > maxParts {
		return errTooComplex
	}
	kind, params, err := mime.ParseMediaType(in.contentType)
	if err != nil {
		kind = "text/plain" // RFC 2045 section 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		return p.multipart(multipart.NewReader(in.body, params["boundary"]), depth-1)
	}
	if strings.HasPrefix(strings.ToLower(in.disposition), "attachment") {
		return nil
	}
	text, err := io.ReadAll(decode(in.encoding, in.body))
	if err != nil {
		return fmt.Errorf("read %s: %w", kind, err)
	}
	// Letters of the services are UTF-8; of other character sets the ASCII
	// part stays readable.
	clean := strings.ReplaceAll(strings.ToValidUTF8(string(text), "\uFFFD"), "\r\n", "\n")
	switch {
	case kind == "text/html" && p.letter.HTML == "":
		p.letter.HTML = clean
	case kind == "text/plain" && p.letter.Text == "":
		p.letter.Text = clean
	}
	return nil
}

// multipart reads the parts of a part.
func (p *parser) multipart(parts *multipart.Reader, depth int) error {
	for {
		// NextRawPart leaves the transfer encoding to decode.
		next, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		err = p.part(part{
			contentType: next.Header.Get("Content-Type"),
			encoding:    next.Header.Get("Content-Transfer-Encoding"),
			disposition: next.Header.Get("Content-Disposition"),
			body:        next,
		}, depth)
		if err != nil {
			return err
		}
	}
}

// decode undoes a transfer encoding (RFC 2045 section 6).
func decode(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	default:
		return r
	}
}
