package token

import (
	"encoding/base64"
	"errors"
	"strings"
)

// MaxBytes is the length over which a token is refused unread.
const MaxBytes = 8 << 10

// compact is a token in its three parts, decoded.
type compact struct {
	header, payload, signature []byte
	signed                     string // the text that the signature is over
}

// splitCompact takes a JWS in compact serialization apart (RFC 7515 section
// 7.1): three parts of base64url, neither empty nor padded, each in the one
// spelling that an encoder gives.
func splitCompact(raw string) (compact, error) {
	if len(raw) > MaxBytes {
		return compact{}, errors.New("token is too long")
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	var c compact
	var err error
	if c.header, err = decodeBase64(header); err != nil {
		return compact{}, err
	}
	if c.payload, err = decodeBase64(payload); err != nil {
		return compact{}, err
	}
	if c.signature, err = decodeBase64(signature); err != nil {
		return compact{}, err
	}
	c.signed = raw[:len(header)+1+len(payload)]
	return c, nil
}

var strictBase64 = base64.RawURLEncoding.Strict()

// decodeBase64 decodes base64url without padding and with its unused bits
// zero. The library skips line ends, so they are refused before it.
func decodeBase64(text string) ([]byte, error) {
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("base64url is empty or broken over lines")
	}
	out, err := strictBase64.DecodeString(text)
	if err != nil {
		return nil, errors.New("base64url is malformed")
	}
	return out, nil
}
