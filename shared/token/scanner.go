package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// scanner reads JSON from front to back without building values.
type scanner struct {
	data []byte
	pos  int
}

var errSyntax = errors.New("JSON is malformed")

func (s *scanner) space() {
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.pos]) >= 0 {
		s.pos++
	}
}

// take moves over c and reports whether it was there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.pos >= len(s.data) || s.data[s.pos] != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) object(depth int) (members, error) {
	if depth > maxDepth {
		return nil, errors.New("JSON is nested too deeply")
	}
	if !s.take('{') {
		return nil, errSyntax
	}
	if s.take('}') {
		return nil, nil
	}
	out := make(members, 0, 16)
	for {
		m, err := s.member(depth)
		if err != nil {
			return nil, err
		}
		if _, twice := out.get(m.name); twice {
			return nil, errors.New("JSON object has a member twice")
		}
		if out = append(out, m); len(out) > maxMembers {
			return nil, errors.New("JSON object has too many members")
		}
		if s.take(',') {
			continue
		}
		if s.take('}') {
			return out, nil
		}
		return nil, errSyntax
	}
}

func (s *scanner) member(depth int) (member, error) {
	s.space()
	name, err := s.text()
	if err != nil {
		return member{}, err
	}
	if !s.take(':') {
		return member{}, errSyntax
	}
	value, err := s.value(depth)
	return member{name: name, value: value}, err
}

// array gives the JSON text of each element.
func (s *scanner) array(depth int) ([][]byte, error) {
	if depth > maxDepth {
		return nil, errors.New("JSON is nested too deeply")
	}
	if !s.take('[') {
		return nil, errSyntax
	}
	if s.take(']') {
		return nil, nil
	}
	var out [][]byte
	for {
		value, err := s.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
		if s.take(',') {
			continue
		}
		if s.take(']') {
			return out, nil
		}
		return nil, errSyntax
	}
}

// value moves over any JSON value inside an object or array of the given depth
// and gives its text.
func (s *scanner) value(depth int) ([]byte, error) {
	s.space()
	if s.pos >= len(s.data) {
		return nil, errSyntax
	}
	start := s.pos
	var err error
	switch s.data[s.pos] {
	case '{':
		_, err = s.object(depth + 1)
	case '[':
		_, err = s.array(depth + 1)
	case '"':
		_, err = s.text()
	default:
		err = s.scalar()
	}
	return s.data[start:s.pos], err
}

// scalar moves over a number, true, false or null.
func (s *scanner) scalar() error {
	end := bytes.IndexAny(s.data[s.pos:], " \t\r\n,]}")
	if end < 0 {
		end = len(s.data) - s.pos
	}
	if !json.Valid(s.data[s.pos : s.pos+end]) {
		return errSyntax
	}
	s.pos += end
	return nil
}

// text reads a string. Half a surrogate pair is refused: readers replace it by
// U+FFFD, and two different strings would become one.
func (s *scanner) text() (string, error) {
	if s.pos >= len(s.data) || s.data[s.pos] != '"' {
		return "", errSyntax
	}
	escaped := false
	for i := s.pos + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return "", errSyntax
		case c == '"':
			raw := s.data[s.pos : i+1]
			s.pos = i + 1
			if !escaped {
				return string(raw[1 : len(raw)-1]), nil
			}
			return unescape(raw)
		}
	}
	return "", errSyntax
}

func unescape(raw []byte) (string, error) {
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		return "", errSyntax
	}
	if strings.ContainsRune(out, utf8.RuneError) {
		return "", errors.New("JSON string is not valid Unicode")
	}
	return out, nil
}
