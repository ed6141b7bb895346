package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/checker"
)

func TestMain(m *testing.M) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	go func() { // it ends with the process
		<-told
		leaving.leave()
		fmt.Fprintln(os.Stderr, "chaos: interrupted; processes, databases and folders are gone")
		os.Exit(1)
	}()
	code := m.Run()
	summed.print("all runs")
	leaving.leave()
	os.Exit(code)
}

// exits are what must be done before the process ends, even if it is told to.
type exits struct {
	mu   sync.Mutex
	next int
	todo map[int]func()
}

var leaving exits

// add has something done at the end, unless it is forgotten before.
func (e *exits) add(do func()) (forget func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.todo == nil {
		e.todo = map[int]func(){}
	}
	id := e.next
	e.next++
	e.todo[id] = do
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.todo, id)
	}
}

// leave does what was added, the latest first.
func (e *exits) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []int
	for id := range e.todo {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range slices.Backward(ids) {
		e.todo[id]()
	}
	e.todo = nil
}

// sum is what all runs of the process have seen.
type sum struct {
	sync.Mutex
	summary
}

var summed sum

// summary is the line for machines at the end of a run.
type summary struct {
	Name string `json:"run"`
	Runs int    `json:"runs"`
	checker.Report
	Violated int     `json:"violations"`
	Healed   float64 `json:"views_equal_after_ms"` // after healing; of several runs the longest
	Ready    float64 `json:"all_ready_after_ms"`
	Exposed  float64 `json:"latest_acceptance_ms"` // after an acknowledged revocation, within the bound
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *sum) add(t *testing.T, r *checker.Report, healed, ready time.Duration) {
	t.Helper()
	one := summary{
		Name: t.Name(), Runs: 1, Report: *r, Violated: len(r.Violations), Healed: milliseconds(healed), Ready: milliseconds(ready),
		Exposed: milliseconds(checker.Quantile(r.Exposure, 1)),
	}
	s.Lock()
	defer s.Unlock()
	s.Runs++
	s.Add(*r)
	s.Violated += one.Violated
	s.Healed, s.Ready, s.Exposed = max(s.Healed, one.Healed), max(s.Ready, one.Ready), max(s.Exposed, one.Exposed)
	one.print()
}

// print prints the sum, for people and for machines.
func (s *sum) print(name string) {
	s.Lock()
	defer s.Unlock()
	if s.Runs == 0 {
		return
	}
	fmt.Printf("chaos: %d runs: %s\n", s.Runs, &s.Report)
	s.Name = name
	s.summary.print()
}

func (s *summary) print() {
	line, err := json.Marshal(s)
	if err != nil {
		line = fmt.Appendf(nil, "%q", err)
	}
	fmt.Printf("chaos-summary %s\n", line)
}
