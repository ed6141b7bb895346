package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
)

// announceBatch is how many accounts one transaction announces.
const announceBatch = 500

// AnnounceAccounts puts an event with its whole state into the outbox for every
// account, so that whoever follows account events can begin from nothing. It
// may run beside everything else, and again: an account that changes meanwhile
// has a higher version in the event of the change. It returns how many accounts
// it announced, also with an error.
func AnnounceAccounts(ctx context.Context, store Store, now func() time.Time) (int, error) {
	announced, after := 0, ""
	for {
		n, last := 0, after
		err := store.InTx(ctx, func(tx Tx) error {
			users, err := tx.Users(ctx, after, announceBatch)
			if err != nil {
				return fmt.Errorf("list accounts: %w", err)
			}
			n = len(users)
			at := now().UTC()
			for i := range users {
				last = users[i].ID
				if err := announce(ctx, tx, &users[i], at, i+1); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return announced, fmt.Errorf("announce accounts after %q: %w", after, err)
		}
		announced, after = announced+n, last
		if n < announceBatch {
			return announced, nil
		}
	}
}

func announce(ctx context.Context, tx Tx, u *User, at time.Time, n int) error {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := uuid7(at, n, random)
	data, err := json.Marshal(contract.Event{
		SpecVersion: "1.0", ID: id, Source: "auth-service", Type: contract.AccountAnnounced, Subject: u.ID,
		Time: at, DataContentType: "application/json", Data: u.event(),
	})
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	if err := tx.Enqueue(ctx, OutboxMessage{ID: id, Topic: TopicAccount, Payload: data}, at); err != nil {
		return fmt.Errorf("put account into outbox: %w", err)
	}
	return nil
}
