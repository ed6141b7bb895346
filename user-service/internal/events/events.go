// Package events hears what the auth-service has to say: account events, from
// which the service's picture of its users is made, and changes of the signing
// keys.
//
// It decides which messages are account events. It promises that each one is
// applied, through restarts of everybody involved, and that an outage of the
// database delays events and loses none. It refuses messages that can never be
// applied: they go to the dead letters, and do not hold up the others.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
)

// How often to look for the stream while there is none. The first event of a
// new system is seen so much later at most.
const (
	minLook = 20 * time.Millisecond
	maxLook = 500 * time.Millisecond
)

// Consumer feeds account events to the rules.
type Consumer struct {
	Bus   *bus.Bus
	Users *user.Service
	// Installation is the id of the database. The broker keeps our place in
	// the stream under it, so that a new and empty database is filled from the
	// oldest event on.
	Installation string

	following atomic.Bool
}

// Run consumes until ctx ends.
func (c *Consumer) Run(ctx context.Context) error {
	subjects := c.Bus.Subjects()
	if !c.awaitStream(ctx, subjects) {
		return nil
	}
	c.following.Store(true)
	return c.Bus.Consume(ctx, bus.Consumer{
		Stream:  subjects.AccountStream(),
		Durable: Durable(c.Installation),
		Filter:  subjects.Accounts(),
	}, c.handle)
}

// awaitStream waits for the auth-service to make the stream of account events,
// and reports false if ctx ended before.
func (c *Consumer) awaitStream(ctx context.Context, subjects contract.Subjects) bool {
	registered := subjects.Account(contract.AccountRegistered)
	for look := minLook; ; look = min(2*look, maxLook) {
		if _, _, err := c.Bus.LastInStream(ctx, subjects.AccountStream(), registered); err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(look):
		}
	}
}

// Ready says why account events are not followed yet, or nil.
func (c *Consumer) Ready(context.Context) error {
	if !c.following.Load() {
		return errors.New("the auth-service has not made the stream of account events yet")
	}
	return nil
}

// Durable is the name under which the broker keeps the place of the database
// with this installation id.
func Durable(installation string) string { return "user-service-" + installation }

// handle applies one message.
func (c *Consumer) handle(ctx context.Context, data []byte) error {
	e, err := decode(data)
	if err != nil {
		return bus.Poison(err)
	}
	err = c.Users.Observe(ctx, *e)
	if err != nil && ctx.Err() != nil {
		// Whatever it looked like to the database, time ran out.
		return fault.Wrap(fault.Unavailable, "The event was not applied in time.", err)
	}
	return err
}

// decode reads an account event. Members that are unknown here come from a
// newer auth-service and are left alone.
func decode(data []byte) (*contract.Event, error) {
	var e contract.Event
	if err := json.Unmarshal(data, &e); err != nil {
		// Of the cause only the type is told: its text may quote the message.
		return nil, fmt.Errorf("account event is not JSON of the agreed form (%T)", err)
	}
	if err := user.CheckEvent(&e); err != nil {
		return nil, fmt.Errorf("account event: %w", err)
	}
	return &e, nil
}
