package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxKeyID bounds the kid of tokens and keys.
const maxKeyID = 128

// header is what a token's header may tell us: which key to look up, and the
// algorithm that the key must then agree with.
type header struct {
	algorithm, keyID string
}

// refusedHeaders ask for processing that we never do: extensions that must be
// understood, keys or URLs of the sender's choice, compression, encryption.
func refusedHeaders() []string {
	return []string{"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"}
}

func knownHeaders() []string {
	return append(refusedHeaders(), "alg", "typ", "kid", "cty", "x5t", "x5t#S256")
}

// parseHeader reads a header and refuses what is not that of a plain token of
// the type.
// Members it does not know are ignored, as RFC 7515 section 4 demands.
func parseHeader(data []byte, tokenType string, algorithms []string) (header, error) {
	m, err := parseObject(data)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if err := m.noVariantsOf(knownHeaders()); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	for _, name := range refusedHeaders() {
		if _, present := m.get(name); present {
			return header{}, fmt.Errorf("header has %s", name)
		}
	}
	typ, err := m.text("typ")
	if err != nil || !isType(typ, tokenType) {
		return header{}, errors.New("header typ is not the one wanted here")
	}
	alg, err := m.text("alg")
	if err != nil || !slices.Contains(algorithms, alg) {
		return header{}, errors.New("header alg is not an accepted algorithm")
	}
	kid, err := m.text("kid")
	if err != nil || kid == "" || len(kid) > maxKeyID {
		return header{}, errors.New("header kid is not a key id")
	}
	return header{algorithm: alg, keyID: kid}, nil
}

// isType accepts a type with or without its "application/" and in any case of
// ASCII letters (RFC 9068 section 4, RFC 7515 section 4.1.9).
func isType(typ, wanted string) bool {
	return strings.EqualFold(typ, wanted) || strings.EqualFold(typ, "application/"+wanted)
}

// text returns a member that must be there and be a string.
func (m members) text(name string) (string, error) {
	value, ok := m.get(name)
	if !ok {
		return "", fmt.Errorf("%s is missing", name)
	}
	out, ok := parseText(value)
	if !ok {
		return "", fmt.Errorf("%s is not a string", name)
	}
	return out, nil
}
