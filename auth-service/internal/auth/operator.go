package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gatehouse.internal/shared/fault"
)

// Operator does what somebody may do who has the settings and the database of
// the service, on its command line. It publishes nothing by itself: revocations
// and letters are told by the running service, which finds them committed.
type Operator struct{ svc *Service }

// NewOperator returns an Operator. Of the settings it needs the lifetimes and
// the keys of second factors. now is time.Now if nil.
func NewOperator(store Store, c Config, now func() time.Time) (*Operator, error) {
	c = c.withDefaults()
	factorKeys, err := newSealer(c.FactorKeys)
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	return &Operator{&Service{
		config: c, store: store, factorKeys: factorKeys, now: now, random: rand.Reader, revoke: nobodyWaits{},
		throttle: unthrottled{}, wake: func() {}, log: slog.New(slog.DiscardHandler),
	}}, nil
}

// nobodyWaits is the Revoker of somebody who only commits.
type nobodyWaits struct{}

func (nobodyWaits) Committed(context.Context, []string) Propagation { return Propagation{} }

// ReasonOperator is that of events which an Operator has caused.
const ReasonOperator = "command_line"

// ResetFactors takes all second factors of a user away, as an administrator does
// with Service.ResetFactors: for an administrator who has lost the only one. The
// user is told by id or by address. It returns the id, and whether there was a
// second factor. Fault: NotFound.
func (o *Operator) ResetFactors(ctx context.Context, user string) (id string, had bool, err error) {
	_, err = o.svc.do(ctx, Caller{}, func(w *work) error {
		u, err := w.lockNamed(ctx, user)
		if err != nil {
			return err
		}
		id, had = u.ID, u.MFAEnabled
		return w.resetFactors(ctx, u, ReasonOperator)
	})
	return id, had, err
}

// lockNamed locks the user with this id or address.
func (w *work) lockNamed(ctx context.Context, user string) (User, error) {
	id := user
	if strings.Contains(user, "@") {
		u, err := w.UserByEmail(ctx, foldEmail(user))
		if err != nil {
			return User{}, noUser(err)
		}
		id = u.ID
	}
	u, err := w.LockUser(ctx, id)
	return u, noUser(err)
}

func noUser(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, "There is no such user.", err)
	}
	if err != nil {
		return fmt.Errorf("lock user: %w", err)
	}
	return nil
}

// ResealFactors is Service.ResealFactors.
func (o *Operator) ResealFactors(ctx context.Context) (Resealed, error) {
	return o.svc.ResealFactors(ctx)
}

// LongestRollout is how long replicas with the settings of before may go on
// after the first one with a new AUTH_ENCRYPTION_KEY.
const LongestRollout = time.Hour

// OlderTokens tells how many sessions hold a refresh token that was made with an
// earlier key than the one in use since the given time, and when the last of
// them ends if it is not refreshed.
func (o *Operator) OlderTokens(ctx context.Context, since time.Time) (n int, until time.Time, err error) {
	n, until, err = o.svc.store.NotRefreshed(ctx, since.Add(LongestRollout), o.svc.now())
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count sessions: %w", err)
	}
	return n, until, nil
}
