package authapp_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/auth-service/internal/auth/password"
	"gatehouse.internal/shared/embedded/testenv"
)

// onEachKind runs a benchmark on SQLite and PostgreSQL.
func onEachKind(b *testing.B, run func(b *testing.B, app *running, mails *mailbox)) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			mails := startMailbox(b)
			cfg := settings(b, mails.url)
			cfg.DatabaseURL = url(b)
			cfg.Limits = authapp.LimitSettings{Recipient: cfg.Limits.Recipient}
			cfg.LogLevel = "error"
			run(b, start(b, cfg), mails)
		})
	}
}

// people registers the accounts of the comparison.
func people(b *testing.B, app *running, mails *mailbox) {
	b.Helper()
	for _, name := range []string{"known", "locked", "unverified"} {
		who := map[string]string{"email": name + "@example.com", "password": userPassword}
		if status := app.call("POST", "/auth/register", "", who, nil); status != 202 {
			b.Fatalf("register: status %d", status)
		}
		if name == "unverified" {
			continue
		}
		token := mails.token(b, name+"@example.com")
		if status := app.call("POST", "/auth/email/verify", "", map[string]string{"token": token}, nil); status != 204 {
			b.Fatalf("verify: status %d", status)
		}
	}
	var locked struct{ User struct{ ID string } }
	app.call("POST", "/auth/login", "", map[string]string{"email": "locked@example.com", "password": userPassword}, &locked)
	if status := app.call("POST", "/admin/users/"+locked.User.ID+"/lock", app.login(adminEmail, adminPassword).AccessToken, nil, nil); status != 204 {
		b.Fatalf("lock: status %d", status)
	}
}

// BenchmarkLogin_SW6_wrongPassword compares how long a wrong password takes for
// every kind of account, in random order, with the time of Argon2id alone.
func BenchmarkLogin_SW6_wrongPassword(b *testing.B) {
	onEachKind(b, func(b *testing.B, app *running, mails *mailbox) {
		people(b, app, mails)
		hasher, err := password.NewArgon2id(password.Settings{})
		if err != nil {
			b.Fatal(err)
		}
		const wrong = "wrong wrong wrong 1"
		kinds := []struct{ name, email, password string }{
			{"known", "known@example.com", wrong}, {"unknown", "unknown@example.com", wrong}, {"locked", "locked@example.com", wrong},
			{"unverified", "unverified@example.com", wrong}, {"empty", "known@example.com", ""},
		}
		took := map[string][]time.Duration{}
		for b.Loop() {
			for _, i := range rand.Perm(len(kinds) + 1) {
				began := time.Now()
				if i == len(kinds) {
					if _, err := hasher.Matches(b.Context(), "", wrong); err != nil {
						b.Fatal(err)
					}
					took["argon2id"] = append(took["argon2id"], time.Since(began))
					continue
				}
				k := kinds[i]
				if status := app.call("POST", "/auth/login", "", map[string]string{"email": k.email, "password": k.password}, nil); status != 401 {
					b.Fatalf("%s: status %d", k.name, status)
				}
				took[k.name] = append(took[k.name], time.Since(began))
			}
		}
		hash, least, most := median(took["argon2id"]), time.Hour, time.Duration(0)
		for _, k := range kinds {
			m := median(took[k.name])
			least, most = min(least, m), max(most, m)
			b.ReportMetric(float64(m.Microseconds()), k.name+"-µs")
		}
		b.ReportMetric(float64(hash.Microseconds()), "argon2id-µs")
		b.ReportMetric(100*float64(most-least)/float64(hash), "%-of-argon2id")
		b.ReportMetric(0, "ns/op")
	})
}

func median(d []time.Duration) time.Duration {
	slices.SortFunc(d, cmp.Compare[time.Duration])
	return d[len(d)/2]
}

// BenchmarkLogin_SW5_flood makes 500 sign-ins at once, and tells how many were
// answered, how many refused, how long the slowest took, and how much memory
// the process (with the 500 clients in it) needed above what it had idle.
func BenchmarkLogin_SW5_flood(b *testing.B) {
	onEachKind(b, func(b *testing.B, app *running, mails *mailbox) {
		people(b, app, mails)
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 600, MaxIdleConnsPerHost: 600}, Timeout: time.Minute}
		defer client.CloseIdleConnections()
		const callers = 500
		flood(b, app, client, callers) // connections and pools are there then
		for b.Loop() {
			idle, peak, stop := memory(), uint64(0), make(chan struct{})
			var sampler sync.WaitGroup
			sampler.Go(func() {
				for {
					peak = max(peak, memory())
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
				}
			})
			answered, refused, slowest := flood(b, app, client, callers)
			close(stop)
			sampler.Wait()
			b.ReportMetric(float64(answered), "answered")
			b.ReportMetric(float64(refused), "overloaded")
			b.ReportMetric(slowest.Seconds(), "slowest-s")
			b.ReportMetric(float64(peak-min(peak, idle))/(1<<20), "MiB-above-idle")
		}
	})
}

// memory is what the process uses of memory for its heap and stacks.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64()
}

// flood makes so many sign-ins at once. Each must be answered with 401, or
// refused with 503 and Retry-After.
func flood(b *testing.B, app *running, client *http.Client, callers int) (answered, refused int, slowest time.Duration) {
	b.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			body := fmt.Sprintf(`{"email":"user%d@example.com","password":"wrong wrong wrong 1"}`, i)
			began := time.Now()
			res, err := client.Post("http://"+app.Addr()+"/auth/login", "application/json", strings.NewReader(body))
			if err != nil {
				b.Errorf("no answer: %v", err)
				return
			}
			defer func() { _ = res.Body.Close() }()
			var problem struct{ Code string }
			data, _ := io.ReadAll(res.Body)
			_ = json.Unmarshal(data, &problem)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, time.Since(began))
			switch {
			case res.StatusCode == 401:
				answered++
			case res.StatusCode == 503 && problem.Code == "overloaded" && res.Header.Get("Retry-After") != "":
				refused++
			default:
				b.Errorf("status %d: %s", res.StatusCode, data)
			}
		})
	}
	all.Wait()
	return answered, refused, slowest
}
