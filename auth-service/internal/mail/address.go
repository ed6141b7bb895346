package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"unicode"

	"gatehouse.internal/shared/fault"
)

// errRecipient does not say which address it is about: it ends in the log.
var errRecipient = fault.New(fault.ValidationFailed, "The recipient is not one plain mail address.")

// recipient turns an address into an envelope recipient. It must be one bare
// address, without a name, a comment or a line break, so that nothing a
// stranger typed can become a header or a second recipient.
func recipient(text string) (*mail.Address, error) {
	if strings.ContainsFunc(text, unicode.IsControl) || len(text) > 320 {
		return nil, errRecipient
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Name != "" || parsed.Address != text {
		return nil, errRecipient
	}
	return parsed, nil
}

// CheckSender reports what is wrong with the text of a From header, such as
// "Gatehouse <no-reply@example.com>".
func CheckSender(text string) error {
	_, err := sender(text)
	return err
}

func sender(text string) (*mail.Address, error) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errors.New("holds a control character")
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil {
		return nil, errors.New("not a mail address of the form Name <user@example.com>")
	}
	return parsed, nil
}

func domainOf(address string) string {
	return address[strings.LastIndexByte(address, '@')+1:]
}

// publicURL reads the address that links in letters start with. It is the
// only source of their host: never a request's Host header.
func publicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("public URL is not of the form https://gateway.example.com")
	}
	return u, nil
}
