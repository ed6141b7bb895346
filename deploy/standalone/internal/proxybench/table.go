package proxybench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// printScenario prints the figures of a scenario, and what they are to those
// of its first entry.
func printScenario(out io.Writer, s scenario, all map[string]figures) {
	fmt.Fprintf(out, "\n%s: %s\n", s.name, s.what)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush() //nolint:errcheck // a terminal
	first := all[s.entries[0].label]
	if s.idle {
		fmt.Fprintln(w, "\tMiB more\t")
		for _, e := range s.entries {
			fmt.Fprintf(w, "%s\t%.1f\t\n", e.label, all[e.label].resident)
		}
		return
	}
	fmt.Fprintf(w, "\tCPU µs\treq/s\tp50 ms\tp99 ms\tMiB\tfailed\tCPU of %s\t\n", s.entries[0].label)
	for _, e := range s.entries {
		f := all[e.label]
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f ×\t\n",
			e.label, f.processor, f.rate, f.median, f.late, f.resident, f.failed, first.processor/f.processor)
	}
}

// aim is what a ratio or a figure should be.
type aim struct {
	what     string
	scenario string
	of, to   string // labels; a figure by itself if to is empty
	value    func(figures) float64
	least    bool // the bound is below
	bound    float64
	unit     string
}

func cpu(f figures) float64      { return f.processor }
func rate(f figures) float64     { return f.rate }
func resident(f figures) float64 { return f.resident }

// aims are those of the project (README, Measurements).
func aims() []aim {
	return []aim{
		{"full checks against nginx without any", "small", gatewayRS, nginx, cpu, false, 2.2, "×"},
		{"against HAProxy verifying RS256", "small", gatewayRS, haproxyRS, cpu, false, 0.6, "×"},
		{"against a bare httputil.ReverseProxy", "small", gatewayRS, reverse, cpu, false, 0.65, "×"},
		{"against the gateway's own public route", "small", gatewayRS, "gateway, public route", cpu, false, 1.10, "×"},
		{"100,000 tokens in turn against one", "tokens", "gateway es256, many", gatewayES, cpu, false, 1.5, "×"},
		{"tokens of ES256 never seen, against HAProxy", "unseen", gatewayES, haproxyES, cpu, false, 1.1, "×"},
		{"requests/s of 1 MiB answers against nginx", "1m", gatewayRS, nginx, rate, true, 0.8, "×"},
		{"requests/s of 1 MiB bodies against nginx", "upload", gatewayRS, nginx, rate, true, 0.8, "×"},
		{"10,000 routes against 10", "routes", gatewayBig, gatewayES, cpu, false, 1.05, "×"},
		{"1,000 idle connections", "memory", gatewayRS, "", resident, false, 30, "MiB"},
	}
}

// printAims prints what was aimed at beside what was measured.
func printAims(out io.Writer, all results) {
	fmt.Fprintln(out, "\naims")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush() //nolint:errcheck // a terminal
	fmt.Fprintln(w, "what (CPU of a request, if nothing else is said)\taim\tmeasured\t")
	for _, a := range aims() {
		value, measured := a.measured(all)
		if !measured {
			continue
		}
		word, verdict := "at most", "met"
		if a.least {
			word = "at least"
		}
		if a.least && value < a.bound || !a.least && value > a.bound {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s %.2f %s\t%.2f %s\t%s\n", a.what, word, a.bound, a.unit, value, a.unit, verdict)
	}
}

func (a aim) measured(all results) (float64, bool) {
	of, has := all[a.scenario][a.of]
	if !has || a.to == "" {
		return a.value(of), has
	}
	to, has := all[a.scenario][a.to]
	return a.value(of) / a.value(to), has
}
