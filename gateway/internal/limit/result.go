package limit

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Rule is how much is allowed: so many requests at once, and as many again
// spread over each period.
type Rule struct {
	Requests int
	Per      time.Duration
}

// spacing is the time in which one request becomes free again, in the whole
// microseconds that Redis counts in.
func (r Rule) spacing() time.Duration {
	return max((r.Per / time.Duration(max(r.Requests, 1))).Truncate(time.Microsecond), time.Microsecond)
}

// burst is the time in which all requests become free again. It is counted in
// spacings, so that exactly Requests of them fit in.
func (r Rule) burst() time.Duration { return time.Duration(max(r.Requests, 1)) * r.spacing() }

// result tells what it means that used time is taken up now, of which a
// refused request has taken none.
func (r Rule) result(allowed bool, used time.Duration) Result {
	used = min(max(used, 0), r.burst())
	answer := Result{
		Allowed:   allowed,
		Limit:     r.Requests,
		Remaining: int((r.burst() - used) / r.spacing()),
		Reset:     used,
	}
	if !allowed {
		answer.Remaining = 0
		answer.RetryAfter = max(used+r.spacing()-r.burst(), time.Microsecond)
	}
	return answer
}

// Result is the answer to one request.
type Result struct {
	Allowed    bool
	Limit      int           // requests at once
	Remaining  int           // how many of them are left
	Reset      time.Duration // until all of them are free again
	RetryAfter time.Duration // until the next one is free; 0 if allowed
	Local      bool          // counted by this node alone
}

// WriteHeader sets the RateLimit fields, and Retry-After for a refusal.
func (r Result) WriteHeader(h http.Header) {
	h.Set("RateLimit-Limit", strconv.Itoa(r.Limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(r.Remaining))
	h.Set("RateLimit-Reset", seconds(r.Reset))
	if !r.Allowed {
		h.Set("Retry-After", seconds(max(r.RetryAfter, 1)))
	}
}

// seconds are whole ones, rounded up, so that nobody comes back too early.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// UserKey counts the requests of a user to a route.
func UserKey(route, userID string) string { return route + "|u|" + userID }

// AddressKey counts the requests from an address to a route. IPv6 addresses
// are counted by /64, which is what one customer gets at least, and IPv4
// addresses in IPv6 spelling as what they are.
func AddressKey(route string, addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return route + "|a|" + prefix.Addr().String()
		}
	}
	return route + "|a|" + addr.String()
}
