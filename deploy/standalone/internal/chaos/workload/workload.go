package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

const (
	password    = "a rather long passphrase 77"
	maxTokens   = 50_000
	recent      = 64               // how many of the newest tokens are tried again and again
	tokenLife   = 16 * time.Minute // after which a token need not be tried any more
	emergencies = 20 * time.Second // between two of them, at least
	adminLife   = 5 * time.Minute  // after which the administrator signs in anew
)

// Config says how much the clients do.
type Config struct {
	Seed     uint64
	Name     string   // part of the users' addresses, so that each workload has its own
	URLs     []string // of the gateways
	Recorder *history.Recorder
	Users    int
	Sessions int           // how many of them are alive at a time, about
	Pause    time.Duration // between two calls of a client to a service
	Rest     time.Duration // between two other operations of a client, about
	Admin    struct{ Email, Password string }
	Program  struct{ ID, Secret string } // may revoke tokens that were issued to others (RFC 7009)
}

// Workload is the clients and what they know.
type Workload struct {
	Config
	urls   []string
	client *http.Client

	mu       sync.Mutex
	admin    string // the administrator's access token
	adminAt  time.Duration
	killedAt time.Duration // when a signing key was revoked last
	users    []*user
	sessions []*session
	tokens   []watched // all that were ever given, oldest first
	roles    int       // counts role changes, so that each is a change
	names    int
}

// user is an account. Its lock keeps what uses its password and what changes it
// apart.
type user struct {
	email, id string // set before Run

	sync.Mutex
	passwords []string // the last is the newest that may be the right one
}

// session is one that the clients believe to be alive.
type session struct {
	user       *user
	id         string
	refreshing sync.Mutex // held while its refresh token is used

	mu     sync.Mutex
	access watched
	secret string // its refresh token
}

func (s *session) pair() (access watched, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access, s.secret
}

// watched is a token that probes use, and since when.
type watched struct {
	raw string
	claims
	at time.Duration
}

// New makes clients that have not done anything yet.
func New(cfg Config) *Workload {
	return &Workload{Config: cfg, urls: cfg.URLs, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 5 * time.Second, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// Close ends idle connections.
func (w *Workload) Close() { w.client.CloseIdleConnections() }

// source is a client's own source of chance.
func (w *Workload) source(client uint64) *rand.Rand { return rand.New(rand.NewPCG(w.Seed, client)) } //nolint:gosec // repeatable, not secret

// Prepare signs the administrator in, registers the users and signs them in.
func (w *Workload) Prepare(ctx context.Context) error {
	if err := w.signInAdmin(ctx, 0); err != nil {
		return err
	}
	for range w.Users {
		if err := w.register(ctx); err != nil {
			return err
		}
	}
	for i := range max(w.Users, w.Sessions) { // each user once at least, who has no id before
		if _, err := w.signIn(ctx, w.users[i%len(w.users)], i%len(w.urls)); err != nil {
			return err
		}
	}
	return nil
}

func (w *Workload) register(ctx context.Context) error {
	w.mu.Lock()
	w.names++
	u := &user{email: fmt.Sprintf("%s-%d@example.com", w.Name, w.names), passwords: []string{password}}
	w.mu.Unlock()
	var o history.Op
	a := w.do(ctx, request{method: "POST", path: "/auth/register", body: map[string]string{"email": u.email, "password": password}}, &o)
	if a.status != http.StatusAccepted {
		return fmt.Errorf("a user cannot register: %d %s", a.status, a.body.Code)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users = append(w.users, u)
	return nil
}

// keep notes what a token answer has given. Tokens that have expired are
// forgotten.
func (w *Workload) keep(a *answer, o *history.Op) watched {
	t := watched{a.body.AccessToken, read(a.body.AccessToken), w.Recorder.Now()}
	o.NewToken, o.Successor, o.Key = t.ID, hash(a.body.RefreshToken), t.Key
	if o.Kind != history.Refresh {
		o.NewSession = t.Session
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tokens) > 0 && t.at-w.tokens[0].at > 2*tokenLife || len(w.tokens) >= maxTokens {
		first := 0
		for first < len(w.tokens)-recent && t.at-w.tokens[first].at > tokenLife {
			first++
		}
		w.tokens = append([]watched(nil), w.tokens[first:]...)
	}
	if len(w.tokens) < maxTokens {
		w.tokens = append(w.tokens, t)
	}
	return t
}

// signIn gives the user a session; it tries each password that may be right.
func (w *Workload) signIn(ctx context.Context, u *user, node int) (*session, error) {
	u.Lock()
	defer u.Unlock()
	for i := len(u.passwords) - 1; i >= 0; i-- {
		o := history.Op{Kind: history.Login, User: u.id}
		a := w.do(ctx, request{
			method: "POST", path: "/auth/login", node: node, body: map[string]string{"email": u.email, "password": u.passwords[i]},
		}, &o)
		switch a.status {
		case http.StatusOK:
			if u.id == "" {
				u.id = a.body.User.ID
			}
			u.passwords = u.passwords[i : i+1 : i+1]
			o.User = u.id
			t := w.keep(&a, &o)
			w.Recorder.Add(o)
			return w.begin(u, t, &a), nil
		case http.StatusUnauthorized:
			w.Recorder.Add(o)
			continue // another password
		}
		w.Recorder.Add(o)
		if a.body.Code == "account_locked" {
			return nil, errLocked
		}
		return nil, fmt.Errorf("a user cannot sign in: %d %s", a.status, a.body.Code)
	}
	return nil, errors.New("no password of the user is right")
}

var errLocked = errors.New("the account is locked")

// begin adds the session of a token answer to those that are alive.
func (w *Workload) begin(u *user, t watched, a *answer) *session {
	s := &session{user: u, id: a.body.SessionID, access: t, secret: a.body.RefreshToken}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, s)
	return s
}

// forget removes sessions that are no longer used.
func (w *Workload) forget(gone func(*session) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.sessions[:0]
	for _, s := range w.sessions {
		if !gone(s) {
			kept = append(kept, s)
		}
	}
	clear(w.sessions[len(kept):])
	w.sessions = kept
}

// pick gives a session that is believed to be alive, or nil.
func (w *Workload) pick(rng *rand.Rand) *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sessions) == 0 {
		return nil
	}
	return w.sessions[rng.IntN(len(w.sessions))]
}
