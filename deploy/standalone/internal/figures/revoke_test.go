package figures

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// revoked is a revocation that was committed by SQL, so that no service was told.
type revoked struct {
	committed     time.Time // when the commit had been answered
	epoch, number uint64
}

// revoke commits a revocation of a session, and waits until it has a number.
// Nothing else may revoke meanwhile.
func (w *clients) revoke(tb testing.TB, session string) revoked {
	tb.Helper()
	before, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.SQL(tb.Context(), insert("'"+session+"'", 1)); err != nil {
		tb.Fatal(err)
	}
	r := revoked{committed: time.Now()}
	r.epoch, r.number = w.numbered(tb, before.Last+1)
	return r
}

// insert is a statement that revokes n sessions, each named by an expression.
func insert(session string, n int) string {
	return fmt.Sprintf(`INSERT INTO revocations (id, kind, subject, min_version, cause, expires_at, created_at)
		SELECT gen_random_uuid()::text, 2, %s, 0, 'logout', t.now + 1200000000, t.now
		FROM generate_series(1, %d), (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) t`, session, n)
}

// unused is a session that nobody has.
const unused = "gen_random_uuid()::text"

// numbered waits until the revocations up to a number have numbers.
func (w *clients) numbered(tb testing.TB, number uint64) (epoch, last uint64) {
	tb.Helper()
	w.until(tb, fmt.Sprintf("revocation %d has its number", number), func() (ok bool) {
		var err error
		if epoch, last, err = w.Numbered(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		return last >= number
	})
	return epoch, last
}

// everywhere waits until the observer has every gateway's report of a
// revocation, and gives when the last one came.
func (w *clients) everywhere(tb testing.TB, o *observer, r revoked) time.Time {
	tb.Helper()
	var at time.Time
	w.until(tb, fmt.Sprintf("revocation %d is applied everywhere", r.number), func() (ok bool) {
		at, _, ok = o.last(len(w.URLs), r.epoch, r.number)
		return ok
	})
	return at
}

// until looks every 5 ms, for a minute at most.
func (w *clients) until(tb testing.TB, what string, there func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !there() {
		select {
		case <-ctx.Done():
			tb.Fatalf("waited in vain until %s\n%s", what, w.Logs(1500))
		case <-ticker.C:
		}
	}
}

// sessionOf reads the session from an access token.
func sessionOf(tb testing.TB, token string) string {
	tb.Helper()
	var claims struct {
		Session string `json:"sid"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		tb.Fatal("what was given is not a token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil || claims.Session == "" {
		tb.Fatalf("the token has no session: %v", err)
	}
	return claims.Session
}

// reportSeconds prints the median and the largest of a few times.
func reportSeconds(b *testing.B, name string, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2].Seconds(), name+"-median-s")
	b.ReportMetric(times[len(times)-1].Seconds(), name+"-max-s")
}
