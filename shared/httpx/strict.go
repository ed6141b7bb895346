package httpx

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"gatehouse.internal/shared/fault"
)

// maxDepth bounds how deeply a document may nest.
const maxDepth = 32

// checkDocument refuses what encoding/json would let pass: members whose names
// differ in case from the field's, members given twice, null where a value is
// needed, and anything after the document. t is the type to be filled.
func checkDocument(body []byte, t reflect.Type) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return fault.New(fault.Malformed, "The body is empty.")
	}
	c := checker{decoder: json.NewDecoder(bytes.NewReader(body))}
	c.decoder.UseNumber()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if err := c.value(t, "", 0); err != nil {
		return err
	}
	if _, err := c.decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "There is something after the JSON document.")
	}
	return nil
}

// checker walks over a document along the type that it is to fill.
type checker struct{ decoder *json.Decoder }

// token reads the next token; a syntax error is the caller's.
func (c *checker) token() (json.Token, error) {
	token, err := c.decoder.Token()
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "The body is not valid JSON.", err)
	}
	return token, nil
}

// value checks one value. A nil type means that any value is welcome.
func (c *checker) value(t reflect.Type, path string, depth int) error {
	if depth > maxDepth {
		return fault.New(fault.Malformed, "The body nests too deeply.")
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	nullable := t == nil || t.Kind() == reflect.Pointer
	t = plainType(t)
	switch token {
	case nil:
		if t != nil && !nullable {
			return wrongType(path, t)
		}
		return nil
	case json.Delim('{'):
		if t != nil && t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
			return wrongType(path, t)
		}
		return c.object(t, path, depth)
	case json.Delim('['):
		if t != nil && t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
			return wrongType(path, t)
		}
		return c.array(t, path, depth)
	}
	return scalar(token, t, path)
}

// scalar checks a text, number or truth value. Whether a number is in range is
// left to the decoding.
func scalar(token json.Token, t reflect.Type, path string) error {
	if t == nil {
		return nil
	}
	fits := true
	switch token.(type) {
	case bool:
		fits = t.Kind() == reflect.Bool
	case json.Number:
		fits = t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
	case string:
		fits = t.Kind() == reflect.String || t == reflect.TypeFor[[]byte]()
	}
	if !fits {
		return wrongType(path, t)
	}
	return nil
}

// object checks the members up to the closing brace.
func (c *checker) object(t reflect.Type, path string, depth int) error {
	known := members(t)
	seen := map[string]bool{}
	for c.decoder.More() {
		token, err := c.token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		full := strings.TrimPrefix(path+"."+name, ".")
		if seen[name] {
			return badMember(full, "is given twice")
		}
		seen[name] = true
		var member reflect.Type
		switch {
		case t == nil:
		case t.Kind() == reflect.Map:
			member = t.Elem()
		default:
			field, ok := known[name]
			if !ok {
				return badMember(full, "is not known")
			}
			member = field
		}
		if err := c.value(member, full, depth+1); err != nil {
			return err
		}
	}
	_, err := c.token()
	return err
}

// array checks the elements up to the closing bracket.
func (c *checker) array(t reflect.Type, path string, depth int) error {
	var element reflect.Type
	if t != nil {
		element = t.Elem()
	}
	for i := 0; c.decoder.More(); i++ {
		if err := c.value(element, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	_, err := c.token()
	return err
}

func badMember(field, message string) error {
	field = bounded(field, 64)
	return &fault.Error{
		Kind:   fault.Malformed,
		Detail: fmt.Sprintf("The field %q %s.", field, message),
		Fields: []fault.Field{{Field: field, Message: message}},
	}
}

// plainType takes pointers off a type. It returns nil for a type that reads
// its JSON itself, and for interfaces: those decide what they take.
func plainType(t reflect.Type) reflect.Type {
	for t != nil {
		pointer := reflect.PointerTo(t)
		if t.Kind() == reflect.Interface || pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
			pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

// members lists the fields of a struct by their exact JSON names, those of
// embedded structs among them.
func members(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-":
		case field.Anonymous && name == "" && plainType(field.Type) != nil && plainType(field.Type).Kind() == reflect.Struct:
			for inner, innerType := range members(plainType(field.Type)) {
				if _, outer := out[inner]; !outer {
					out[inner] = innerType
				}
			}
		case !field.IsExported():
		case name == "":
			out[field.Name] = field.Type
		default:
			out[name] = field.Type
		}
	}
	return out
}
