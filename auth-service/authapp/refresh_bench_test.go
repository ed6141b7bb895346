package authapp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRefresh refreshes 1, 16 and 64 sessions of different people at once,
// each again and again, through HTTP. It tells refreshes a second and the CPU
// of this process for one, in which the clients and the bus are, but not a
// database server.
func BenchmarkRefresh(b *testing.B) {
	onEachKind(b, func(b *testing.B, app *running, mails *mailbox) {
		sessions := make([]string, 64)
		for i := range sessions {
			email := fmt.Sprintf("user%d@example.com", i)
			who := map[string]string{"email": email, "password": userPassword}
			if status := app.call("POST", "/auth/register", "", who, nil); status != http.StatusAccepted {
				b.Fatalf("register: status %d", status)
			}
			if status := app.call("POST", "/auth/email/verify", "", map[string]string{"token": mails.token(b, email)}, nil); status != http.StatusNoContent {
				b.Fatalf("verify: status %d", status)
			}
			sessions[i] = app.login(email, userPassword).RefreshToken
		}
		for _, callers := range []int{1, 16, len(sessions)} {
			b.Run(fmt.Sprintf("sessions=%d", callers), func(b *testing.B) {
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}, Timeout: time.Minute}
				defer client.CloseIdleConnections()
				refreshAll(b, app, client, sessions[:callers], int64(callers)) // connections and statements are there then
				b.ResetTimer()
				began, used := time.Now(), processorTime(b)
				refreshAll(b, app, client, sessions[:callers], int64(b.N))
				used, took := processorTime(b)-used, time.Since(began)
				b.ReportMetric(float64(b.N)/took.Seconds(), "refreshes/s")
				b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/refresh")
			})
		}
	})
}

// refreshAll makes so many refreshes, in each session one after another, and
// leaves the newest token of each.
func refreshAll(b *testing.B, app *running, client *http.Client, sessions []string, most int64) {
	b.Helper()
	var all sync.WaitGroup
	var begun atomic.Int64
	for i := range sessions {
		all.Go(func() {
			for begun.Add(1) <= most {
				next, err := refreshOnce(app, client, sessions[i])
				if err != nil {
					b.Error(err)
					return
				}
				sessions[i] = next
			}
		})
	}
	all.Wait()
}

func refreshOnce(app *running, client *http.Client, token string) (next string, err error) {
	res, err := client.Post("http://"+app.Addr()+"/auth/refresh", "application/json", strings.NewReader(`{"refresh_token":"`+token+`"}`))
	if err != nil {
		return "", fmt.Errorf("refresh: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return "", fmt.Errorf("refresh: read the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("refresh: status %d: %s", res.StatusCode, data)
	}
	var got tokens
	if err := json.Unmarshal(data, &got); err != nil {
		return "", fmt.Errorf("refresh: decode the answer: %w", err)
	}
	return got.RefreshToken, nil
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
