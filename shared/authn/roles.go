package authn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// How RemoteRoles looks for a newer table, and for how long one serves that
// cannot be renewed.
const (
	rolesEvery   = 30 * time.Second
	rolesRetry   = 500 * time.Millisecond // doubled up to rolesEvery
	rolesMaxAge  = 24 * time.Hour
	rolesTimeout = 5 * time.Second
	maxRoleTable = 4 << 20 // bytes
)

// RemoteRoles knows what roles permit: it follows the auth-service's role table
// over HTTP and keeps it in memory. A known table serves without waiting for
// anyone, also while the auth-service is away, for a day at most. A garbled
// answer, and an older table, never replace a good one.
type RemoteRoles struct {
	URLs   []string // of the auth-service's replicas, with contract.RolesPath; tried in turn
	Client *http.Client
	Now    func() time.Time
	Log    *slog.Logger
	// Changed is called with every table that is new; it may be nil.
	Changed func(contract.RoleTable)

	current atomic.Pointer[knownRoles]
	due     chan struct{}
	first   int // index of the URL that answered last; of Run alone
}

type knownRoles struct {
	table   contract.RoleTable
	allowed map[string]map[string]bool // by role and permission
	fetched time.Time
}

// NewRemoteRoles follows the table of the auth-service at these addresses.
func NewRemoteRoles(authURLs []string, now func() time.Time, log *slog.Logger) *RemoteRoles {
	r := &RemoteRoles{Now: now, Log: log, due: make(chan struct{}, 1), Client: &http.Client{
		Transport: &http.Transport{
			MaxConnsPerHost: 2, MaxIdleConns: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: rolesTimeout, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, address := range authURLs {
		r.URLs = append(r.URLs, strings.TrimRight(strings.TrimSpace(address), "/")+contract.RolesPath)
	}
	return r
}

// Stale asks for a look now: the table has changed, or may have. It never
// blocks.
func (r *RemoteRoles) Stale() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// Run follows the table until ctx ends.
func (r *RemoteRoles) Run(ctx context.Context) error {
	defer r.Client.CloseIdleConnections()
	retry := rolesRetry
	for {
		pause := rolesEvery - rolesEvery/10 + rand.N(rolesEvery/5)
		if err := r.refresh(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "fetch role table", "error", err)
			pause, retry = retry/2+rand.N(retry), min(2*retry, rolesEvery)
		} else {
			retry = rolesRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.due:
		case <-time.After(pause):
		}
	}
}

// refresh asks the replicas in turn, first the one that answered last.
func (r *RemoteRoles) refresh(ctx context.Context) error {
	problems := []error{}
	for i := range r.URLs {
		at := (r.first + i) % len(r.URLs)
		table, err := r.fetch(ctx, r.URLs[at])
		if err == nil {
			r.first = at
			r.take(table)
			return nil
		}
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		return errors.New("no address of the auth-service is known")
	}
	return errors.Join(problems...)
}

func (r *RemoteRoles) fetch(ctx context.Context, url string) (table contract.RoleTable, err error) {
	ctx, cancel := context.WithTimeout(ctx, rolesTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return table, fmt.Errorf("ask for role table: %w", err)
	}
	resp, err := r.Client.Do(req)
	if err != nil {
		return table, fmt.Errorf("ask for role table: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	if resp.StatusCode != http.StatusOK {
		return table, fmt.Errorf("role table at %s: status %d", req.URL.Redacted(), resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRoleTable+1))
	if err == nil && len(body) > maxRoleTable {
		err = errors.New("too large")
	}
	if err == nil {
		err = json.Unmarshal(body, &table)
	}
	if err == nil {
		err = checkRoles(&table)
	}
	if err != nil {
		return table, fmt.Errorf("role table at %s: %w", req.URL.Redacted(), err)
	}
	return table, nil
}

// checkRoles refuses what is no role table.
func checkRoles(t *contract.RoleTable) error {
	if t.Version <= 0 || t.Roles == nil || len(t.Roles) > contract.MaxRoles+2 {
		return errors.New("is none")
	}
	for _, permissions := range t.Roles {
		if len(permissions) > contract.MaxPermissions || slices.ContainsFunc(permissions, func(p string) bool { return !contract.IsPermission(p) }) {
			return errors.New("has a permission that is none")
		}
	}
	return nil
}

// take makes a table the current one, unless a newer one is known.
func (r *RemoteRoles) take(t contract.RoleTable) {
	known := r.current.Load()
	if known != nil && t.Version < known.table.Version {
		return
	}
	next := &knownRoles{table: t, fetched: r.Now(), allowed: make(map[string]map[string]bool, len(t.Roles))}
	for role, permissions := range t.Roles {
		next.allowed[role] = make(map[string]bool, len(permissions))
		for _, p := range permissions {
			next.allowed[role][p] = true
		}
	}
	r.current.Store(next)
	if known != nil && t.Version == known.table.Version {
		return
	}
	r.Log.Info("role table changed", "version", t.Version, "roles", len(t.Roles))
	if r.Changed != nil {
		r.Changed(t)
	}
}

// Permit reports whether the roles together give all the permissions. It fails
// with fault.Unavailable while nobody can tell.
func (r *RemoteRoles) Permit(roles, permissions []string) (bool, error) {
	known := r.current.Load()
	if known == nil || r.Now().Sub(known.fetched) > rolesMaxAge {
		f := fault.New(fault.Unavailable, "What roles permit is not known at the moment.")
		f.RetryAfter = time.Second
		return false, f
	}
	for _, p := range permissions {
		if !slices.ContainsFunc(roles, func(role string) bool { return known.allowed[role][p] }) {
			return false, nil
		}
	}
	return true, nil
}

// Table is the table that is known, and false if there is none.
func (r *RemoteRoles) Table() (contract.RoleTable, bool) {
	known := r.current.Load()
	if known == nil {
		return contract.RoleTable{}, false
	}
	return known.table, true
}
