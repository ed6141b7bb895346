package auth

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// PlaceReader reads from where a user signed in.
type PlaceReader interface {
	// Places returns from where the newest n sessions of a user were last used,
	// newest first, also of sessions that have ended, as long as they are kept.
	Places(ctx context.Context, userID string, n int) ([]Place, error)
}

// Place is where a session was used.
type Place struct{ Address, UserAgent string }

// maxPlaces bounds how many earlier sessions are looked at.
const maxPlaces = 200

// tellNewDevice mails the user about a sign-in from a device that is not known:
// it showed no device token of a sign-in with this password, and no earlier session was
// used by such a client from that network. A young account's first sign-in is
// no news. It comes before the new session is added.
func (w *work) tellNewDevice(ctx context.Context, u User) error {
	if _, known, err := w.svc.device(ctx, w, w.caller, u.Email); err != nil || known == familiar {
		return err
	}
	places, err := w.Places(ctx, u.ID, maxPlaces)
	if err != nil {
		return fmt.Errorf("look for earlier sign-ins: %w", err)
	}
	if len(places) == 0 && w.now.Sub(u.CreatedAt) < w.svc.config.SessionTTL+pruneKeep+time.Hour {
		return nil // no earlier session can have been forgotten by now
	}
	here := Place{network(w.caller.Address), plain(w.caller.UserAgent, maxUserAgent)}
	known := slices.ContainsFunc(places, func(p Place) bool {
		return network(p.Address) == here.Address && p.UserAgent == here.UserAgent
	})
	if known {
		return nil
	}
	return w.notice(ctx, u, Mail{Template: MailNewDevice})
}
