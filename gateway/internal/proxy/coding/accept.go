package coding

import "strings"

// The codings, by their names in HTTP.
const (
	Gzip = "gzip" // RFC 1952
	Zstd = "zstd" // RFC 8878, with a window that RFC 9659 allows
)

// Names are all codings, the better one first.
func Names() []string { return []string{Zstd, Gzip} }

// Choose gives the coding that a client likes best of those offered, by the
// lines of its Accept-Encoding (RFC 9110 section 12.5.3); among equals the one
// offered first. It is empty for none: without Accept-Encoding a client may
// know no coding, and one that likes "identity" better gets that.
func Choose(lines, offered []string) string {
	best, most := "", weightOf(lines, "identity", 0)
	if most == 0 {
		most = 1 // any coding that is acceptable at all is better
	}
	for _, name := range offered {
		q := weightOf(lines, name, weightOf(lines, "*", 0))
		if q > most || q == most && q > 0 && best == "" {
			best, most = name, q
		}
	}
	return best
}

// weightOf gives the weight of a coding in thousandths, or what it is where the
// lines do not name it. An element that is malformed says nothing.
func weightOf(lines []string, name string, unnamed int) int {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			coding, parameter, weighted := strings.Cut(element, ";")
			if coding = strings.Trim(coding, " \t"); !strings.EqualFold(coding, name) && (name != Gzip || !strings.EqualFold(coding, "x-gzip")) {
				continue
			}
			if !weighted {
				return 1000
			}
			if q, ok := weight(strings.Trim(parameter, " \t")); ok {
				return q
			}
		}
	}
	return unnamed
}

// weight reads q=0.5 as RFC 9110 section 12.4.2 has it, in thousandths.
func weight(text string) (int, bool) {
	if len(text) < 3 || len(text) > len("q=0.000") || text[0]|0x20 != 'q' || text[1] != '=' || text[2] != '0' && text[2] != '1' {
		return 0, false
	}
	whole, fraction := text[2], text[3:]
	if fraction != "" && fraction[0] != '.' {
		return 0, false
	}
	q, digit := 0, 100
	for i := 1; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return 0, false
		}
		q += int(fraction[i]-'0') * digit
		digit /= 10
	}
	if whole == '1' {
		return 1000, q == 0
	}
	return q, true
}
