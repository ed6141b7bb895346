package routefile

import (
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

// setter reads a value into where it belongs. It says what is wrong with the
// value, or nothing.
type setter func(value *yaml.Node) string

func text(into *string) setter {
	return func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!str" {
			return "not a text"
		}
		*into = v.Value
		return ""
	}
}

// word is a text of a type of its own.
func word[T ~string](into *T) setter {
	return func(v *yaml.Node) string {
		var s string
		wrong := text(&s)(v)
		*into = T(s)
		return wrong
	}
}

func flag(into *bool) setter {
	return func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!bool" || v.Decode(into) != nil {
			return "not true or false"
		}
		return ""
	}
}

func number(into *int) setter {
	return func(v *yaml.Node) string {
		if v.Kind != yaml.ScalarNode || v.ShortTag() != "!!int" || v.Decode(into) != nil {
			return "not a whole number"
		}
		return ""
	}
}

func duration(into *time.Duration) setter {
	return func(v *yaml.Node) string {
		if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" {
			if d, err := time.ParseDuration(v.Value); err == nil {
				*into = d
				return ""
			}
		}
		return "not a duration like 30s or 15m"
	}
}

func size(into *int64) setter {
	return func(v *yaml.Node) string {
		if v.Kind == yaml.ScalarNode && (v.ShortTag() == "!!str" || v.ShortTag() == "!!int") {
			if bytes, ok := parseSize(v.Value); ok {
				*into = bytes
				return ""
			}
		}
		return "not a size like 1MiB, 64KiB or 500 (bytes)"
	}
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
func (d *document) list(into *[]string, at route.Places, field string) setter {
	return func(v *yaml.Node) string {
		if v.Kind != yaml.SequenceNode {
			return "not a list like [a, b]"
		}
		whole := true
		for i, item := range v.Content {
			var s string
			place := route.Place{Position: d.position(item)}
			if wrong := text(&s)(item); wrong != "" {
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
	}
}
