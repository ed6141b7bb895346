package gatewayapp

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// figure reads one of the gateway's figures; -2 is one that is not there.
func (w *world) figure(name string) float64 {
	w.t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(w.metrics())
	if m == nil {
		return -2
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

// Each fault shows in the figures that the README has an alarm on within 10 s of
// its onset, and no longer once it is over.
func TestApp_I11_faults_show_within_ten_seconds(t *testing.T) {
	w := newWorld(t, nil)
	admin := w.token(func(c *contract.Claims) { c.Roles = []string{"admin"} })
	shows := func(what string, holds func() bool) {
		t.Helper()
		began := time.Now()
		w.until(what, holds)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: after %v", what, took)
		}
	}
	const unknown = `gatehouse_revocation_degraded_checks_total{outcome="unknown"}`

	t.Run("staleness", func(t *testing.T) {
		w.silence(true)
		shows("the view grows old", func() bool { return w.figure("gatehouse_revocation_view_age_seconds") > 2 })
		shows("requests that cannot be decided are counted", func() bool { w.do("GET", "/api/orders/admin/x", bearer+admin); return w.figure(unknown) >= 1 })
		w.silence(false)
		shows("the view is fresh again", func() bool { return w.figure("gatehouse_revocation_view_age_seconds") < 1 })
	})
	t.Run("lag", func(t *testing.T) {
		repairs := w.figure("gatehouse_revocation_repairs_total")
		w.mu.Lock()
		w.head++ // a number is given, and nobody brings it
		missing := w.head
		w.mu.Unlock()
		shows("the node says how far behind it is", func() bool { return w.figure("gatehouse_revocation_behind") == 1 })
		shows("repairs are counted", func() bool { return w.figure("gatehouse_revocation_repairs_total") > repairs })
		b := contract.Batch{Epoch: 1, First: missing, Oldest: 1, Committed: time.Now(), Entries: []contract.Entry{
			{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID("late"), ExpiresAt: time.Now().Add(time.Hour)},
		}}
		if err := w.bus.Publish(w.bus.Subjects().Batches(), w.seal(revocation.PurposeBatch, b.Encode())); err != nil {
			t.Fatal(err)
		}
		shows("the node has caught up", func() bool {
			return w.figure("gatehouse_revocation_behind") == 0 && w.figure("gatehouse_revocation_applied_sequence") == float64(missing)
		})
	})
	t.Run("messages that nobody signed, and those of another format", func(t *testing.T) {
		forged := append([]byte(nil), w.seal(revocation.PurposeBatch, []byte("x"))...)
		forged[len(forged)-1] ^= 1
		newer := w.seal(revocation.PurposeBatch, []byte{contract.BatchVersion + 1})
		for reason, message := range map[string][]byte{"forged": forged, "newer_format": newer} {
			if err := w.bus.Publish(w.bus.Subjects().Batches(), message); err != nil {
				t.Fatal(err)
			}
			shows(reason, func() bool {
				return w.figure(fmt.Sprintf("gatehouse_revocation_rejected_messages_total{reason=%q}", reason)) >= 1
			})
		}
	})
	t.Run("another epoch", func(t *testing.T) {
		entry := contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID("other"), ExpiresAt: time.Now().Add(time.Hour)}
		b := contract.Batch{Epoch: 7, First: 1, Oldest: 1, Committed: time.Now(), Entries: []contract.Entry{entry}}
		if err := w.bus.Publish(w.bus.Subjects().Batches(), w.seal(revocation.PurposeBatch, b.Encode())); err != nil {
			t.Fatal(err)
		}
		// The sequencer of this test stays in the old one: its heads prove nothing now.
		shows("the view grows old while epochs differ", func() bool { return w.figure("gatehouse_revocation_view_age_seconds") > 2 })
	})
}
