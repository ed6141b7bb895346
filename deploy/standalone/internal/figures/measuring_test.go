package figures

import (
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// What is measured must show what happens: here one gateway hears of everything
// late, and its reports are late by as much again.
func TestMeasuring_a_late_gateway_shows(t *testing.T) {
	needPostgres(t)
	c, err := start(t.TempDir(), cluster.Config{Gateways: 2, Auths: 1, Brokers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	const late = 300 * time.Millisecond
	w := newClients(t, c)
	access := w.signIn(t, 5)
	c.Link(cluster.Gateway(1), cluster.Broker(0)).Delay(late, 0)
	m := w.logouts(t, access)
	for i, took := range m.applied {
		if took < 2*late {
			t.Errorf("revocation %d is said to be applied and reported after %v, by a gateway that hears of it after %v", i, took, late)
		}
	}
	if m.slowest[cluster.Gateway(1)] != len(m.applied) || len(m.answers) != len(access) {
		t.Errorf("%d answers; the last gateways were %v, want %s for all %d revocations", len(m.answers), m.slowest, cluster.Gateway(1), len(m.applied))
	}
}
