package figures

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// waited counts revoking calls by how long they waited, from the commit until
// the reports of all live gateways were there: the buckets of a histogram, by
// their upper bound in seconds, each with all that are below it.
type waited map[float64]float64

// waited adds up what the auth-services have counted.
func (w *clients) waited(tb testing.TB) waited {
	tb.Helper()
	out := waited{}
	for _, p := range w.Auths {
		text, err := w.scrape(tb.Context(), p)
		if err != nil {
			tb.Fatal(err)
		}
		if err := out.add(text); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// add takes the histogram from what a process says of itself.
func (h waited) add(text string) error {
	const line = `gatehouse_sequencer_answer_seconds_bucket{le="`
	for l := range strings.Lines(text) {
		rest, found := strings.CutPrefix(l, line)
		if !found {
			continue
		}
		bound, count, _ := strings.Cut(strings.TrimSpace(rest), `"} `)
		le, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			return fmt.Errorf("bound of a bucket: %w", err)
		}
		n, err := strconv.ParseFloat(count, 64)
		if err != nil {
			return fmt.Errorf("count of a bucket: %w", err)
		}
		h[le] += n
	}
	return nil
}

// since gives what came on top of an earlier count.
func (h waited) since(before waited) waited {
	out := waited{}
	for le, n := range h {
		out[le] = n - before[le]
	}
	return out
}

// quantile gives the bound, in milliseconds, below which so large a part is.
func (h waited) quantile(part float64) float64 {
	all := h[math.Inf(1)]
	for _, le := range slices.Sorted(maps.Keys(h)) {
		if all > 0 && h[le] >= part*all {
			return le * 1000
		}
	}
	return math.NaN()
}

// scrape reads what a process says of itself.
func (w *clients) scrape(ctx context.Context, p *cluster.Process) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.OpsURL(p)+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := w.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func TestWaited(t *testing.T) {
	before, after := waited{}, waited{}
	for h, text := range map[*waited]string{
		&before: "gatehouse_sequencer_answer_seconds_bucket{le=\"0.01\"} 5\ngatehouse_sequencer_answer_seconds_bucket{le=\"+Inf\"} 7\n",
		&after: "other{le=\"0.01\"} 500\ngatehouse_sequencer_answer_seconds_bucket{le=\"0.01\"} 104\n" +
			"gatehouse_sequencer_answer_seconds_bucket{le=\"0.25\"} 105\ngatehouse_sequencer_answer_seconds_bucket{le=\"+Inf\"} 107\n",
	} {
		if err := h.add(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := after.add("gatehouse_sequencer_answer_seconds_bucket{le=\"x\"} 1"); err == nil {
		t.Error("a bound that is no number is taken")
	}
	seen := after.since(before)
	if p50, p99, p100 := seen.quantile(.5), seen.quantile(.99), seen.quantile(1); p50 != 10 || p99 != 10 || p100 != 250 {
		t.Errorf("%v %v %v of %v, want 10, 10 and 250 ms", p50, p99, p100, seen)
	}
}
