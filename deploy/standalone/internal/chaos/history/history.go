package history

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Kind is what a client did.
type Kind string

// The kinds of operations.
const (
	Call        Kind = "call"         // a request to a service behind a gateway
	Login       Kind = "login"        // gives a session
	Refresh     Kind = "refresh"      // gives the session's next token
	Logout      Kind = "logout"       // kills the session
	EndSession  Kind = "end_session"  // an administrator kills the session
	LogoutAll   Kind = "logout_all"   // kills every session of the user
	AdminLogout Kind = "admin_logout" // likewise, by an administrator
	Password    Kind = "password"     // likewise, and gives a fresh session
	Lock        Kind = "lock"         // likewise, and keeps the user out until it is unlocked
	Unlock      Kind = "unlock"
	Roles       Kind = "roles"        // makes every token of the user stale; a refresh gives a good one
	RevokeToken Kind = "revoke_token" // a program kills one access token (RFC 7009); its session lives
	RevokeGrant Kind = "revoke_grant" // a program kills the session of a refresh token (RFC 7009)
	RevokeKey   Kind = "revoke_key"   // kills every token that a signing key has signed; sessions live
	Socket      Kind = "socket"       // a WebSocket through a gateway, from its opening to its end
	Stream      Kind = "stream"       // an event stream, likewise
)

// Revocations are the kinds that kill something.
func Revocations() []Kind {
	return []Kind{Logout, EndSession, LogoutAll, AdminLogout, Password, Lock, Roles, RevokeToken, RevokeGrant, RevokeKey}
}

// KillsSession tells whether the operation kills one session.
func (k Kind) KillsSession() bool { return k == Logout || k == EndSession || k == RevokeGrant }

// Live tells whether the operation is a live connection.
func (k Kind) Live() bool { return k == Socket || k == Stream }

// KillsUser tells whether the operation kills every session of a user.
func (k Kind) KillsUser() bool {
	return k == LogoutAll || k == AdminLogout || k == Password || k == Lock
}

// Op is one operation. Times are since the beginning of the history.
type Op struct {
	ID     int           `json:"id"`
	Kind   Kind          `json:"kind"`
	Node   int           `json:"node"` // the gateway
	Start  time.Duration `json:"start"`
	End    time.Duration `json:"end"`
	Status int           `json:"status"` // 0: no answer
	Code   string        `json:"code,omitempty"`

	User    string        `json:"user,omitempty"`    // whom it is about
	Session string        `json:"session,omitempty"` // which it uses or kills
	Token   string        `json:"token,omitempty"`   // jti of the access token that it uses
	Bound   time.Duration `json:"bound,omitempty"`   // of a call: its route's max_staleness

	Presented  string `json:"presented,omitempty"` // hash of the refresh token that it uses
	NewSession string `json:"new_session,omitempty"`
	NewToken   string `json:"new_token,omitempty"` // jti of the access token that it gave
	Successor  string `json:"successor,omitempty"` // hash of the refresh token that it gave
	Key        string `json:"key,omitempty"`       // kid of the key that it kills, or of that which has signed the token that it gave

	Life *Life `json:"life,omitempty"` // of a live connection that was granted
}

// Life is what a client saw of a live connection.
type Life struct {
	Heard   time.Duration `json:"heard"`   // when the last answer or event came
	Stalled time.Duration `json:"stalled"` // when something came after nothing had for Stall, the last time
	Closed  int           `json:"closed"`  // the status of the close frame (RFC 6455); 0: there was none
	Ours    bool          `json:"ours"`    // the client has ended it
}

// Stall is how long nothing must come over a live connection for it to stand
// still: somebody has stopped, and may need a moment once he goes on.
const Stall = 500 * time.Millisecond

// Acknowledged tells whether the operation was answered with success.
func (o *Op) Acknowledged() bool {
	return o.Status >= 200 && o.Status < 300 || o.Status == http.StatusSwitchingProtocols
}

// Unknown tells whether the operation may or may not have happened: there was
// no answer, or one that does not tell. A gateway that does not know whether the
// caller's token is good has not passed the request on.
func (o *Op) Unknown() bool {
	return o.Status == 0 || o.Status >= 500 && o.Code != "revocation_state_unknown"
}

// Refused tells whether the answer says that the token is not good.
func (o *Op) Refused() bool { return o.Status == http.StatusUnauthorized }

// String is one line for people.
func (o *Op) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "#%d %.3f-%.3f s %s at node %d: %d %s", o.ID, o.Start.Seconds(), o.End.Seconds(), o.Kind, o.Node+1, o.Status, o.Code)
	for _, part := range [][2]string{{"user", o.User}, {"session", o.Session}, {"token", o.Token}} {
		if part[1] != "" {
			fmt.Fprintf(&text, " %s=%s", part[0], part[1])
		}
	}
	return text.String()
}

// Window is a time during which a fault was active.
type Window struct {
	Fault string        `json:"fault"`
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	// Blind, if it names gateways, says that those could hear nobody who knew
	// anything, during the whole of the window; it is then no fault of its own.
	Blind []int `json:"blind,omitempty"`
	// Skewed says that a wall clock was wrong in such a way that good tokens
	// look as if they were of the future, or expired.
	Skewed bool `json:"skewed,omitempty"`
}

// History is a whole run.
type History struct {
	Ops     []Op     `json:"ops"`
	Windows []Window `json:"windows"`
	// Settled is when every view was seen to equal the database after the last
	// fault; 0: never.
	Settled time.Duration `json:"settled"`
	Nodes   int           `json:"nodes"` // how many gateways there are
}

// Write writes the history as lines of JSON, first the windows.
func (h *History) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	for i := range h.Windows {
		if err := encoder.Encode(&h.Windows[i]); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	for i := range h.Ops {
		if err := encoder.Encode(&h.Ops[i]); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	return nil
}

// maxOps bounds a history: an hour of 500 operations a second are fewer.
const maxOps = 1 << 21

// Recorder collects a history from many goroutines.
type Recorder struct {
	began time.Time

	mu      sync.Mutex
	history History
	open    map[int]Window
	next    int
	dropped int
	settled time.Duration
}

// NewRecorder begins a history now.
func NewRecorder() *Recorder { return &Recorder{began: time.Now(), open: map[int]Window{}} }

// Now is the time since the beginning.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Add notes a finished operation.
func (r *Recorder) Add(o Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.history.Ops) >= maxOps {
		r.dropped++
		return
	}
	o.ID = len(r.history.Ops) + 1
	r.history.Ops = append(r.history.Ops, o)
}

// Begin notes that a fault is about to become active, and gives what notes that
// it has been healed; with names of gateways, that these are blind by now, and
// what notes that they are about to see again.
func (r *Recorder) Begin(fault string, blind ...int) (end func()) {
	return r.begin(Window{Fault: fault, Blind: blind})
}

// BeginSkewed is Begin for a clock that makes good tokens look bad.
func (r *Recorder) BeginSkewed(fault string) (end func()) {
	return r.begin(Window{Fault: fault, Skewed: true})
}

func (r *Recorder) begin(w Window) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.next
	r.next++
	w.Start = r.Now()
	r.open[id] = w
	return func() {
		now := r.Now()
		r.mu.Lock()
		defer r.mu.Unlock()
		w, found := r.open[id]
		if !found {
			return
		}
		delete(r.open, id)
		w.End = now
		r.history.Windows = append(r.history.Windows, w)
	}
}

// Settled notes that every view now equals the database.
func (r *Recorder) Settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = time.Since(r.began)
}

// History gives a copy of what was noted so far; faults that are still active
// end now. It fails if there was more than a history holds.
func (r *Recorder) History() (*History, error) {
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped > 0 {
		return nil, fmt.Errorf("the history is full: %d operations were not noted", r.dropped)
	}
	h := &History{Ops: append([]Op(nil), r.history.Ops...), Windows: append([]Window(nil), r.history.Windows...), Settled: r.settled}
	for _, w := range r.open {
		w.End = now
		h.Windows = append(h.Windows, w)
	}
	return h, nil
}
