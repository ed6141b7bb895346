package contract_test

import (
	"fmt"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

func TestReportPeriod_grows_with_the_nodes_within_bounds(t *testing.T) {
	for nodes, want := range map[int]time.Duration{
		-1: 250 * time.Millisecond, 0: 250 * time.Millisecond, 8: 250 * time.Millisecond, 500: 250 * time.Millisecond,
		750: 375 * time.Millisecond, 1000: 400 * time.Millisecond, 1 << 30: 400 * time.Millisecond,
	} {
		if got := contract.ReportPeriod(nodes); got != want {
			t.Errorf("%d nodes: every %s, want %s", nodes, got, want)
		}
	}
	for nodes, want := range map[int]time.Duration{
		-1: 0, 0: 0, 8: 0, 16: 0, 416: 10 * time.Millisecond, 1016: 25 * time.Millisecond, 1 << 30: 100 * time.Millisecond,
	} {
		if got := contract.ReportSpacing(nodes); got != want {
			t.Errorf("%d nodes: %s apart, want %s", nodes, got, want)
		}
	}
}

func TestHeadPart_spreads_nodes_evenly(t *testing.T) {
	var nodes [contract.HeadParts]int
	for i := range 100 * contract.HeadParts {
		nodes[contract.HeadPart(fmt.Sprintf("gateway-%d", i))]++
	}
	for part, n := range nodes {
		if n < 40 || n > 250 {
			t.Errorf("part %d has %d nodes of 100 expected", part, n)
		}
	}
	if part := contract.HeadPart("gateway-1"); part != contract.HeadPart("gateway-1") || part < 0 || part >= contract.HeadParts {
		t.Errorf("the part of a node is %d", part)
	}
}
