package token

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of the JSON that is read at all.
const (
	maxDepth   = 64
	maxMembers = 64 // of one object; keeps the search for duplicates cheap
)

// member is one member of a JSON object; value is its JSON text.
type member struct {
	name  string
	value []byte
}

// members are those of one object, in order, no name twice.
type members []member

// parseObject reads data as one JSON object and nothing else. It differs from
// encoding/json where that is lenient: names are compared exactly, no object
// (nested ones included) has a name twice, and text is valid Unicode.
func parseObject(data []byte) (members, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("JSON is not valid UTF-8")
	}
	s := scanner{data: data}
	s.space()
	out, err := s.object(1)
	if err != nil {
		return nil, err
	}
	if s.space(); s.pos != len(s.data) {
		return nil, errors.New("JSON has data after its end")
	}
	return out, nil
}

// parseArray gives the JSON texts of the elements of one array.
func parseArray(data []byte) ([][]byte, error) {
	s := scanner{data: data}
	return s.array(1)
}

// get returns the JSON text of the named member.
func (m members) get(name string) ([]byte, bool) {
	for i := range m {
		if m[i].name == name {
			return m[i].value, true
		}
	}
	return nil, false
}

// noVariantsOf refuses members whose name is a known one but for its case, in
// the sense of Unicode: encoding/json would take "EXP" and "iſs" for exp and
// iss, and two parsers of one token must not differ.
func (m members) noVariantsOf(known []string) error {
	for i := range m {
		for _, name := range known {
			if m[i].name != name && strings.EqualFold(m[i].name, name) {
				return fmt.Errorf("member is a variant of %q", name)
			}
		}
	}
	return nil
}

// parseText reads a JSON value that must be a string.
func parseText(value []byte) (string, bool) {
	s := scanner{data: value}
	out, err := s.text()
	return out, err == nil
}

// parseTexts reads a JSON value that must be an array of strings.
func parseTexts(value []byte) ([]string, bool) {
	elements, err := parseArray(value)
	if err != nil {
		return nil, false
	}
	out := make([]string, len(elements))
	for i, element := range elements {
		var ok bool
		if out[i], ok = parseText(element); !ok {
			return nil, false
		}
	}
	return out, true
}

// parseInteger reads a JSON value that must be a whole number of 0 or more in
// its plain spelling: no sign, fraction or exponent.
func parseInteger(value []byte, most uint64) (uint64, bool) {
	out, err := strconv.ParseUint(string(value), 10, 64)
	return out, err == nil && out <= most
}
