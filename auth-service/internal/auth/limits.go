package auth

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Throttle counts tries under bounds, for all replicas together where it can.
// It has an answer to everything: a server of its own that is away makes it
// count alone, and is never a reason to fail.
type Throttle interface {
	// Take counts one try under each of the bounds, in one atomic step, or under
	// none of them if any is used up: of N tries at once exactly as many are
	// allowed as are left.
	Take(ctx context.Context, bounds []Bound) Verdict
	// TakeHere is Take, counted by this replica alone, at once: it asks nobody, so
	// it is fit for a transaction.
	TakeHere(bounds []Bound) Verdict
	// Return takes one try back from each of the bounds.
	Return(ctx context.Context, bounds []Bound)
	// Used tells how many tries are taken up under each of the bounds, without
	// counting one.
	Used(ctx context.Context, bounds []Bound) []int
	// Forget makes all tries under the bounds free again.
	Forget(ctx context.Context, bounds []Bound)
}

// Bound is so many tries at once for a key; as they are used up, further ones
// become free evenly over the period.
type Bound struct {
	Name string // of the kind of bound, for metrics and the audit trail
	Key  string // tells nothing of whom it stands for
	Limit
}

// Verdict is what Throttle.Take says.
type Verdict struct {
	Allowed bool
	// Bound is the one that is used up; with several, the one with the longest
	// wait, which is RetryAfter. Zero if the try is allowed.
	Bound      Bound
	RetryAfter time.Duration
	// Fresh says that no refusal under this bound was reported within the last
	// minute: a flood is worth one line a minute.
	Fresh bool
}

// Limit is a number of tries and the period over which they become free again.
// No tries at all stand for no bound.
type Limit struct {
	Tries int
	Per   time.Duration
}

// Limits bound what can be tried. The zero value bounds nothing.
type Limits struct {
	Pair    Limit // wrong passwords for one account from one network address
	Account Limit // for one account, from everywhere
	Address Limit // from one network address, for all accounts together
	Device  Limit // for one account from one device that has signed in to it before
	Confirm Limit // when a signed-in user has to give the password again, for each session
	Sender  Limit // letters that one network address, or one user, may have sent to people
	// Refresh bounds refreshes of one session. It never bounds them to fewer than
	// four in the life of an access token.
	Refresh Limit

	// Recipient bounds letters of one kind to one address that anybody can have
	// sent. It is never without a bound; zero is the default.
	Recipient Limit
}

// DefaultLimits are in force unless others are configured.
func DefaultLimits() Limits {
	return Limits{
		Pair:    Limit{10, 15 * time.Minute},
		Account: Limit{100, 24 * time.Hour}, // NIST SP 800-63B-4 section 3.2.2
		Address: Limit{100, 15 * time.Minute},
		Device:  Limit{10, 15 * time.Minute},
		Confirm: Limit{10, 15 * time.Minute},
		Sender:  Limit{60, time.Hour},
		Refresh: Limit{600, time.Hour},

		Recipient: defaultRecipient,
	}
}

var defaultRecipient = Limit{5, time.Hour}

// Bounds of a Limit.
const (
	MaxTries  = 10_000
	MinPeriod = time.Minute
	MaxPeriod = 7 * 24 * time.Hour
)

// Check reports a limit that is out of bounds.
func (l Limit) Check() error {
	if l.Tries == 0 {
		return nil
	}
	if l.Tries < 0 || l.Tries > MaxTries {
		return fmt.Errorf("%d tries are not within 0 and %d", l.Tries, MaxTries)
	}
	if l.Per < MinPeriod || l.Per > MaxPeriod {
		return fmt.Errorf("the period %v is not within %v and %v", l.Per, MinPeriod, MaxPeriod)
	}
	return nil
}

func (l Limits) check() error {
	return errors.Join(l.Pair.Check(), l.Account.Check(), l.Address.Check(), l.Device.Check(), l.Confirm.Check(), l.Sender.Check(),
		l.Refresh.Check(), l.Recipient.Check())
}

// unthrottled allows everything.
type unthrottled struct{}

func (unthrottled) Take(context.Context, []Bound) Verdict        { return Verdict{Allowed: true} }
func (unthrottled) TakeHere([]Bound) Verdict                     { return Verdict{Allowed: true} }
func (unthrottled) Return(context.Context, []Bound)              {}
func (unthrottled) Used(_ context.Context, bounds []Bound) []int { return make([]int, len(bounds)) }
func (unthrottled) Forget(context.Context, []Bound)              {}

// String writes a limit as UnmarshalText reads it.
func (l Limit) String() string {
	if l.Tries == 0 {
		return noLimit
	}
	per := l.Per.String()
	per = strings.TrimSuffix(per, "0s")
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return fmt.Sprintf("%d/%s", l.Tries, per)
}

const noLimit = "none"

// MarshalText is String.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads tries and a period, such as 10/15m, or "none".
func (l *Limit) UnmarshalText(text []byte) error {
	if string(text) == noLimit {
		*l = Limit{}
		return nil
	}
	tries, per, found := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(tries)
	period, errPer := time.ParseDuration(per)
	if !found || err != nil || errPer != nil || n < 1 {
		return errors.New("is not of the form 10/15m, or none")
	}
	*l = Limit{Tries: n, Per: period}
	return nil
}
