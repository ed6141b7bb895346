package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// Report is what a history says.
type Report struct {
	Requests    int                  `json:"requests"`
	Accepted    int                  `json:"accepted"`
	Refused     int                  `json:"refused"`
	Unsure      int                  `json:"unknown_503"`
	Failed      int                  `json:"unanswered"`
	Logins      int                  `json:"logins"`
	Refreshes   int                  `json:"refreshes"`
	Revocations int                  `json:"revocations"` // that were acknowledged
	ByKind      map[history.Kind]int `json:"revocations_by_kind"`
	Live        int                  `json:"live_connections"`
	LiveEnds    map[string]int       `json:"live_ends"` // "ours", or the kind and the status of the close frame
	Faults      int                  `json:"faults"`
	FaultKinds  map[string]int       `json:"faults_by_kind"`
	// Exposure holds, for each accepted call that began after its token's
	// revocation was acknowledged, how long after.
	Exposure   []time.Duration `json:"-"`
	Violations []Violation     `json:"-"`
}

func newReport() Report {
	return Report{ByKind: map[history.Kind]int{}, LiveEnds: map[string]int{}, FaultKinds: map[string]int{}}
}

// number is the part of a name that tells one of several parts from another.
var number = regexp.MustCompile(`-[0-9]+`)

func (c *check) count() {
	r := &c.report
	for _, w := range c.Windows {
		if len(w.Blind) == 0 && !w.Skewed {
			r.Faults++
			r.FaultKinds[number.ReplaceAllString(w.Fault, "")]++
		}
	}
	kills := history.Revocations()
	for i := range c.Ops {
		o := &c.Ops[i]
		switch {
		case o.Kind == history.Call:
			r.countCall(o)
		case o.Kind == history.Login && o.Acknowledged():
			r.Logins++
		case o.Kind == history.Refresh:
			r.Refreshes++
		case o.Life != nil:
			r.Live++
			r.LiveEnds[ending(o)]++
		case o.Acknowledged() && slices.Contains(kills, o.Kind):
			r.Revocations++
			r.ByKind[o.Kind]++
		}
	}
}

func (r *Report) countCall(o *history.Op) {
	r.Requests++
	switch {
	case o.Acknowledged():
		r.Accepted++
	case o.Refused():
		r.Refused++
	case o.Status == 503:
		r.Unsure++
	default:
		r.Failed++
	}
}

// ending names how a live connection ended.
func ending(o *history.Op) string {
	switch {
	case o.Life.Ours:
		return "ours"
	case o.Kind == history.Stream:
		return "stream_cut"
	}
	return fmt.Sprintf("socket_%d", o.Life.Closed)
}

// Quantile gives the q-th part of sorted durations, 0 of none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Add adds another run's figures.
func (r *Report) Add(o Report) {
	r.Requests += o.Requests
	r.Accepted += o.Accepted
	r.Refused += o.Refused
	r.Unsure += o.Unsure
	r.Failed += o.Failed
	r.Logins += o.Logins
	r.Revocations += o.Revocations
	r.Refreshes += o.Refreshes
	r.Live += o.Live
	r.Faults += o.Faults
	sum(&r.ByKind, o.ByKind)
	sum(&r.LiveEnds, o.LiveEnds)
	sum(&r.FaultKinds, o.FaultKinds)
	r.Exposure = append(r.Exposure, o.Exposure...)
	slices.Sort(r.Exposure)
	r.Violations = append(r.Violations, o.Violations...)
}

func sum[K comparable](to *map[K]int, of map[K]int) {
	if *to == nil {
		*to = map[K]int{}
	}
	for k, n := range of {
		(*to)[k] += n
	}
}

// String is the figures of a run, in one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests (%d accepted, %d refused, %d answered 503, %d unanswered), %d live connections, %d logins, %d refreshes, %d revocations, %d faults, %d violations",
		r.Requests, r.Accepted, r.Refused, r.Unsure, r.Failed, r.Live, r.Logins, r.Refreshes, r.Revocations, r.Faults, len(r.Violations))
	if n := len(r.Exposure); n > 0 {
		fmt.Fprintf(&b, "; accepted within the bound after an acknowledgement: %d, median %v, latest %v",
			n, Quantile(r.Exposure, 0.5).Round(time.Millisecond), r.Exposure[n-1].Round(time.Millisecond))
	}
	return b.String()
}
