package route

import "time"

// Auth says what a route demands of its caller.
type Auth string

// The values of Auth. There is no default: a route must say it.
const (
	AuthNone     Auth = "none"     // tokens are not even looked at
	AuthOptional Auth = "optional" // no token is fine, a bad one is not
	AuthRequired Auth = "required"
)

// LimitBy says whose requests a rate limit counts together.
type LimitBy string

// The values of LimitBy.
const (
	LimitByUser LimitBy = "user"
	LimitByIP   LimitBy = "ip"
)

// Defaults of fields that a definition leaves out.
const (
	DefaultMaxStaleness = 30 * time.Second
	DefaultMaxBody      = 1 << 20
	DefaultTimeout      = 30 * time.Second

	DefaultHealthInterval = 5 * time.Second
)

// GatewayUpstream is the upstream of the built-in routes that the gateway
// answers itself. Route files can neither define nor name it.
const GatewayUpstream = "gateway"

// Position is a place in a route file. Line and column count from 1.
type Position struct {
	File         string
	Line, Column int
}

// Match says which requests a route is for.
type Match struct {
	Host    string   // lower case, without port; *.name for one label before a name; empty for every host
	Path    string   // /exact, /with/{parameter}, or /prefix/*
	Methods []string // GET implies HEAD; empty for all of Methods()
}

// Rewrite changes the path on its way to the upstream.
type Rewrite struct {
	StripPrefix   string // whole segments that are taken off the front
	ReplacePrefix string // what takes their place; empty for nothing
}

// RateLimit bounds the requests of one user or address to a route.
type RateLimit struct {
	Requests int
	Per      time.Duration
	By       LimitBy
}

// Route is one line of the table: which requests, to where, and on what terms.
// A route taken from a Table has every default filled in and must not be
// changed.
type Route struct {
	Name     string // unique in the table; labels metrics, logs and limits
	Match    Match
	Upstream string
	Rewrite  Rewrite

	Auth          Auth
	Roles         []string // any of them; empty for no role
	Permissions   []string // all of them; empty for none
	VerifiedEmail bool
	MFA           bool // a second factor was shown in the caller's session
	MaxStaleness  time.Duration
	RateLimit     *RateLimit // nil for none

	RequestHeaders        HeaderRules // for what the upstream gets
	ResponseHeaders       HeaderRules // for the upstream's answers, not for the gateway's own
	WithholdAuthorization bool        // the upstream gets no Authorization
	PathParameters        bool        // the path may hold parameters (/a;b=c)

	Compress []string // codings in which answers may be sent, the better one first; none for answers as they come

	WebSocket   bool
	EndAtExpiry bool // long answers end when the caller's token expires
	MaxBody     int64
	Timeout     time.Duration // 0 for the upstream's
	Assertion   string        // the audience of an assertion for the upstream; empty for none
	Total       time.Duration // of a request and its answer; 0 is unlimited

	BuiltIn bool // comes with the gateway
	Source  Position

	strip   int // segments that the rewrite takes off
	methods methodSet
	decides deciding
}

// deciding are the places of what decides who may pass.
type deciding struct{ auth, roles, permissions, verified, mfa Position }
