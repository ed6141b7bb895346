package routefile

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

// setter reads a value into where it belongs. It says what is wrong with the
// value, or nothing.
type setter func(value *yaml.Node) string

// key is a key of a mapping: how its value is read, and what editors are told
// of it.
type key struct {
	read     setter
	schema   *schema
	required bool // for editors; route.Compile reports what is missing
}

// keys are those that a mapping may have.
type keys map[string]key

func (k keys) names() []string { return slices.Sorted(maps.Keys(k)) }

func text(into *string) key {
	return key{schema: &schema{Type: "string"}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			return "not a text"
		}
		*into = v.Value
		return ""
	}}
}

// word is a text of a type of its own.
func word[T ~string](into *T) key {
	return key{schema: &schema{Type: "string"}, read: func(v *yaml.Node) string {
		var s string
		wrong := text(&s).read(v)
		*into = T(s)
		return wrong
	}}
}

func flag(into *bool) key {
	return key{schema: &schema{Type: "boolean"}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" || v.Decode(into) != nil {
			return "not true or false"
		}
		return ""
	}}
}

// negated is a flag whose opposite is kept, so that its zero value is true.
func negated(into *bool) key {
	k := flag(into)
	read := k.read
	k.read = func(v *yaml.Node) string {
		wrong := read(v)
		*into = wrong == "" && !*into
		return wrong
	}
	return k.unless(true)
}

// number is a positive whole number.
func number(into *int) key {
	return key{schema: &schema{Type: "integer", Minimum: 1}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!int" || v.Decode(into) != nil {
			return "not a whole number"
		}
		return ""
	}}
}

func duration(into *time.Duration) key {
	const pattern = `^(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	return key{schema: &schema{Type: "string", Pattern: pattern}, read: func(v *yaml.Node) string {
		if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" {
			if d, err := time.ParseDuration(v.Value); err == nil {
				*into = d
				return ""
			}
		}
		return "not a duration like 30s or 15m"
	}}
}

func size(into *int64) key {
	const pattern = `^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB|TiB)?$`
	return key{schema: &schema{Type: []string{"string", "integer"}, Pattern: pattern, Minimum: 1}, read: func(v *yaml.Node) string {
		if v.Kind == yaml.ScalarNode && (v.ShortTag() == "!!str" || v.ShortTag() == "!!int") {
			if bytes, ok := parseSize(v.Value); ok {
				*into = bytes
				return ""
			}
		}
		return "not a size like 1MiB, 64KiB or 500 (bytes)"
	}}
}

// parseSize reads a number of bytes with an optional unit.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "BKMGTi")
	var unit int64
	switch s[len(digits):] {
	case "", "B":
		unit = 1
	case "KB":
		unit = 1e3
	case "MB":
		unit = 1e6
	case "GB":
		unit = 1e9
	case "KiB":
		unit = 1 << 10
	case "MiB":
		unit = 1 << 20
	case "GiB":
		unit = 1 << 30
	case "TiB":
		unit = 1 << 40
	default:
		return 0, false
	}
	count, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(count) > math.MaxInt64/unit {
		return 0, false
	}
	return int64(count) * unit, true
}

// list reads texts and notes the place of each.
func (d *document) list(into *[]string, at route.Places, field string) key {
	return key{schema: &schema{Type: "array", Items: &schema{Type: "string"}, MinItems: 1}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.SequenceNode {
			return "not a list like [a, b]"
		}
		whole := true
		for i, item := range v.Content {
			var s string
			place := route.Place{Position: d.position(item)}
			if wrong := text(&s).read(item); wrong != "" {
				d.report(item, "%s: item %d is %s", field, i+1, wrong)
				whole, place.Broken = false, true
			}
			at[route.ItemName(field, i)] = place
			*into = append(*into, s)
		}
		if !whole {
			at[field] = route.Place{Position: d.position(v), Broken: true}
		}
		return ""
	}}
}

// fields reads a mapping of the names of header fields to values and notes the
// place of each.
func (d *document) fields(into *[]route.Field, at route.Places, field string) key {
	return key{schema: &schema{Type: "object", Additional: &schema{Type: "string"}, MinKeys: 1}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.MappingNode {
			return "not a mapping of names to values"
		}
		for i := 0; i+1 < len(v.Content); i += 2 {
			var f route.Field
			place := route.Place{Position: d.position(v.Content[i])}
			wrong := text(&f.Name).read(v.Content[i])
			if wrong == "" {
				wrong = text(&f.Value).read(v.Content[i+1])
			}
			if wrong != "" {
				d.report(v.Content[i], "%s: item %d is %s", field, i/2+1, wrong)
				place.Broken = true
			}
			at[route.ItemName(field, i/2)] = place
			*into = append(*into, f)
		}
		return ""
	}}
}

// compress reads true, false or a list of codings.
func (d *document) compress(into *[]string, at route.Places) key {
	some := d.list(into, at, "compress").of(route.Codings()...)
	return key{schema: &schema{AnyOf: []*schema{{Type: "boolean"}, some.schema}}, read: func(v *yaml.Node) string {
		var all bool
		if flag(&all).read(v) != "" {
			*into = []string{}
			if some.read(v) != "" {
				return "not true, false or a list like [zstd, gzip]"
			}
			return ""
		}
		if all {
			*into = route.Codings()
		}
		return ""
	}}.unless(false)
}
